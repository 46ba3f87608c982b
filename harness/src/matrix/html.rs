//! The matrix as a page: mutants against scenario families.

use askama::Template;

use super::{CONTROLS, Catch, Matrix, Row, family};

#[derive(Template)]
#[template(path = "matrix.html")]
struct Page<'a> {
    title: String,
    complaints: Vec<String>,
    families: Vec<Family>,
    rows: Vec<Shown<'a>>,
}

struct Family {
    name: String,
    notices: usize,
    why: &'static str,
}

struct Shown<'a> {
    name: &'a str,
    summary: &'a str,
    class: &'static str,
    verdict: &'static str,
    noticed: usize,
    runs: usize,
    cells: Vec<Cell>,
    catches: &'a [Catch],
    errors: &'a [(String, String)],
}

struct Cell {
    count: usize,
    named: bool,
}

fn shown<'a>(row: &'a Row, families: &[Family]) -> Shown<'a> {
    let (class, verdict) = match (row.is_caught(), row.catches.is_empty()) {
        (true, _) => ("caught", "✓ caught"),
        (false, false) => ("alive", "? noticed"),
        (false, true) => ("alive", "✗ alive"),
    };
    let cell = |of: &Family| {
        let catches = || row.catches.iter().filter(|c| family(&c.scenario) == of.name);
        Cell { count: catches().count(), named: catches().any(|c| c.expected) }
    };
    Shown {
        name: &row.mutant.name,
        summary: &row.mutant.summary,
        class,
        verdict,
        noticed: row.catches.len(),
        runs: row.runs,
        cells: families.iter().map(cell).collect(),
        catches: &row.catches,
        errors: &row.errors,
    }
}

/// The page.
///
/// # Errors
///
/// The template engine's error, in words.
pub fn html(matrix: &Matrix) -> Result<String, String> {
    let families: Vec<Family> = matrix
        .families()
        .into_iter()
        .map(|(name, notices)| {
            let why = CONTROLS.iter().find(|(control, _)| *control == name).map_or("", |(_, why)| why);
            Family { name, notices, why }
        })
        .collect();
    let caught = matrix.rows.iter().filter(|row| row.is_caught()).count();
    let page = Page {
        title: format!("brickproof matrix: {caught} of {} mutants caught", matrix.rows.len()),
        complaints: matrix.complaints(),
        rows: matrix.rows.iter().map(|row| shown(row, &families)).collect(),
        families,
    };
    page.render().map_err(|e| format!("cannot make the matrix's page: {e}"))
}
