//! What labgrid's client says, understood.

use serde::Deserialize;

use crate::board::rfc2217::Address;

/// Why a place could not be acquired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Somebody else has it: user and host.
    Held(String),
    /// Anything else, in the client's words, with what to do.
    Other(String),
}

/// What comes before the holder's name.
const HELD: &str = "is already acquired by ";

pub(super) fn refusal(words: &str) -> Refusal {
    for line in words.lines() {
        if let Some((before, by)) = line.split_once(HELD)
            && before.contains("Place ")
        {
            let by = by.split_once(". ").map_or(by, |(by, _)| by);
            return Refusal::Held(by.trim().trim_end_matches('.').to_owned());
        }
    }
    let advice = if words.contains("Could not connect to coordinator") {
        "; is the coordinator running, and does LG_COORDINATOR (or `@HOST:PORT` after the place) name it?"
    } else if words.contains("matches nothing") {
        "; `labgrid-client places` lists the places there are"
    } else if words.contains("no matching remote resource") || words.contains("<broken>") {
        "; is the exporter of its serial port running, and can it open the port (labgrid-client resources)?"
    } else {
        ""
    };
    Refusal::Other(last_line(words) + advice)
}

/// The last line that says something.
pub(super) fn last_line(words: &str) -> String {
    let line = words.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it says nothing");
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// The exported description of a serial port (`labgrid-client export --format json`).
#[derive(Deserialize)]
struct Export {
    #[serde(rename = "LG__SERIALDRIVER_HOST")]
    host: String,
    #[serde(rename = "LG__SERIALDRIVER_PORT")]
    port: String,
    #[serde(rename = "LG__SERIALDRIVER_PROTOCOL")]
    protocol: String,
}

pub(super) fn exported(json: &str) -> Result<Address, String> {
    let export: Export = serde_json::from_str(json).map_err(|e| format!("its export is not understood: {e}"))?;
    if export.protocol != "rfc2217" {
        return Err(format!(
            "its serial port speaks {:?}; only rfc2217 carries speeds and modem lines: let the exporter use ser2net",
            export.protocol
        ));
    }
    let host = if export.host.contains(':') { format!("[{}]", export.host) } else { export.host };
    Address::parse(&format!("rfc2217://{host}:{}", export.port)).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holder_is_read_out_of_a_refusal() {
        let words = "labgrid-client: Error: Place desk is already acquired by lab/anna. To work simultaneously, anna can \
                     execute 'labgrid-client -p desk allow other/other' on lab.\n";
        assert_eq!(refusal(words), Refusal::Held("lab/anna".to_owned()));
    }

    #[test]
    fn other_refusals_say_what_to_look_at() {
        for (words, advice) in [
            ("ERROR root: ...\nServer error: Error: Could not connect to coordinator\n", "LG_COORDINATOR"),
            ("labgrid-client: Error: place pattern nowhere matches nothing\n", "labgrid-client places"),
            ("labgrid-client: Error: Match bench/desk/* has no matching remote resource\n", "exporter"),
            (
                "Matching resource 'x' already acquired by place '<broken>'\nServer error: Error: Failed to acquire\n",
                "exporter",
            ),
            ("", "it says nothing"),
        ] {
            let Refusal::Other(told) = refusal(words) else { panic!("{words} is no holder") };
            assert!(told.contains(advice), "{told}");
        }
    }

    #[test]
    fn export_is_an_address_where_the_port_speaks_rfc2217() {
        let json = |protocol: &str, host: &str| {
            format!(
                r#"{{"LG__SERIALDRIVER_SPEED": "115200", "LG__SERIALDRIVER_HOST": "{host}", "LG__SERIALDRIVER_PORT": "44731",
                    "LG__SERIALDRIVER_PROTOCOL": "{protocol}", "LG__CLIENT_PID": "1"}}"#
            )
        };
        assert_eq!(exported(&json("rfc2217", "bench")).expect("address").to_string(), "rfc2217://bench:44731");
        assert_eq!(exported(&json("rfc2217", "::1")).expect("address").to_string(), "rfc2217://[::1]:44731");
        assert!(exported(&json("raw", "bench")).expect_err("raw").contains("\"raw\""));
        assert!(exported("{}").expect_err("empty").contains("not understood"));
    }
}
