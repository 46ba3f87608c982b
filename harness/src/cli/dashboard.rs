//! `brickproof dashboard`.

use std::net::TcpListener;

use miette::{Report, Result, miette};
use virtual_esp32::standalone::interrupted;

use super::args::DashboardArgs;
use super::{history, out};
use crate::dashboard;
use crate::history::{Access, Store};
use crate::settings::Sources;

pub(super) fn dashboard(args: &DashboardArgs, sources: &Sources) -> Result<u8> {
    let place = history::needed(&args.history, sources)?;
    // A file that is none is told here, and not by every page; a server that is away now may be back.
    match Store::open(&place, Access::Read) {
        Ok(_) => {}
        Err(why) if why.is_passing() => history::warn(&format!("{why}; every page tries it again"))?,
        Err(why) => return Err(Report::msg(why)),
    }
    let reports = if args.reports.is_empty() {
        let settings = super::settings(sources)?;
        vec![settings.merged.run.report.unwrap_or_else(|| "brickproof-report".into())]
    } else {
        args.reports.clone()
    };
    let listener = TcpListener::bind(args.listen).map_err(|e| {
        miette!(
            help = "another dashboard may be there already; choose another place with --listen, such as 127.0.0.1:0",
            "the dashboard cannot listen on {}: {e}",
            args.listen
        )
    })?;
    let address = listener.local_addr().map_err(|e| miette!("the dashboard has no address: {e}"))?;
    out(&format!("the dashboard of {place} is on http://{address}/ (Ctrl-C ends it)\n"))?;
    let served = super::tools::block_on(async {
        let shutdown = async {
            // Without a signal handler the dashboard is ended by the signal itself.
            if interrupted().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        dashboard::serve(listener, dashboard::Sources { history: place, reports }, shutdown).await
    })?;
    served.map_err(|e| miette!("the dashboard ended: {e}"))?;
    Ok(0)
}
