//! What a running device is told, as its firmware file says: commands on its console, or the form of its own page.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

use crate::engine::{Order, RigError, Talk};
use crate::firmware_file::{Encoding, FirmwareFile, Provision, Signs, command};
use crate::scenario::model::Pattern;
use crate::secrets::MASK;

/// How long a configuration page may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most of a refusal that is told.
const TOLD: usize = 300;

/// A key's value, and whether it must not be shown.
pub(super) struct Told {
    pub(super) value: String,
    pub(super) secret: bool,
}

/// What is said for keys; `None` where nothing is said to a running device.
pub(super) fn talk(firmware: &FirmwareFile, keys: &BTreeMap<String, Told>) -> Result<Option<Talk>, RigError> {
    let (orders, signs) = match &firmware.provision {
        Provision::Nvs => return Ok(None),
        Provision::None => match keys.keys().next() {
            None => return Ok(None),
            Some(name) => return Err(RigError(format!("firmware {} cannot be told {name}", firmware.name))),
        },
        Provision::Console { commands, signs } => {
            let order = |(name, told): (&String, &Told)| {
                let template = commands.get(name).ok_or_else(|| unknown(name, "commands"))?;
                if told.value.contains(['\r', '\n']) {
                    return Err(RigError(format!("{name} holds a line end, and cannot be typed on a console")));
                }
                let shown = command(template, if told.secret { MASK } else { &told.value });
                Ok(Order::Type { text: command(template, &told.value), shown })
            };
            (keys.iter().map(order).collect::<Result<Vec<_>, _>>()?, signs)
        }
        Provision::Form { url, fields, encoding, signs } => {
            let mut named = Vec::new();
            for (name, told) in keys {
                named.push((fields.get(name).ok_or_else(|| unknown(name, "fields"))?.as_str(), told.value.as_str()));
            }
            let (content_type, body) = match encoding {
                Encoding::Form => {
                    let mut form = url::form_urlencoded::Serializer::new(String::new());
                    ("application/x-www-form-urlencoded", form.extend_pairs(&named).finish())
                }
                Encoding::Json => {
                    let object: serde_json::Map<_, _> =
                        named.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
                    ("application/json", serde_json::Value::Object(object).to_string())
                }
            };
            let shown = named.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            (vec![Order::Post { url: url.clone(), content_type, body, shown }], signs)
        }
    };
    if keys.is_empty() {
        return Ok(None);
    }
    let Signs { ready, done, .. } = signs;
    Ok(Some(Talk { ready: line(ready)?, orders, done: line(done)?, within: signs.within() }))
}

fn unknown(name: &str, table: &str) -> RigError {
    RigError(format!("the firmware file does not say how {name} is told: add it to `{table}` of [provision]"))
}

fn line(expression: &Option<String>) -> Result<Option<Pattern>, RigError> {
    let compile = |text: &String| Regex::new(text).map(Pattern::Console).map_err(|e| RigError(e.to_string()));
    expression.as_ref().map(compile).transpose()
}

/// Sends a form, blocking.
pub(super) fn post(url: &str, content_type: &str, body: &str) -> Result<(), RigError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        // The page is in the device's own network.
        .proxy(None)
        .http_status_as_error(false)
        .build()
        .into();
    let failed = |why: String| {
        RigError(format!(
            "cannot send the configuration to the device's page at {url}: {why}; is this host in the device's own network?"
        ))
    };
    let mut answer =
        agent.post(url).header("Content-Type", content_type).send(body).map_err(|e| failed(e.to_string()))?;
    if answer.status().is_success() || answer.status().is_redirection() {
        return Ok(());
    }
    // What cannot be read is not told.
    let words = answer.body_mut().with_config().limit(4096).read_to_string().unwrap_or_default();
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TOLD).collect();
    Err(failed(format!("it answers {} {words}", answer.status())))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::firmware_file;

    fn firmware(provision: &str) -> FirmwareFile {
        let text = format!("{}\n[provision]\n{provision}", firmware_file::EMBEDDED);
        firmware_file::parse("f.toml", &text).unwrap_or_else(|e| panic!("{e:?}"))
    }

    fn keys(all: &[(&str, &str, bool)]) -> BTreeMap<String, Told> {
        let told = |value: &str, secret| Told { value: value.to_owned(), secret };
        all.iter().map(|(name, value, secret)| ((*name).to_owned(), told(value, *secret))).collect()
    }

    #[test]
    fn console_is_told_a_command_for_each_key_and_secrets_are_not_shown() {
        let firmware = firmware(
            "how = \"console\"\nready = \"config>\"\n[provision.commands]\nota-url = \"set url {value}\"\nwifi-password = \
             \"set pw {value}\"\n",
        );
        let keys = keys(&[("ota-url", "http://192.168.1.10:8002/", false), ("wifi-password", "secret words", true)]);
        let talk = talk(&firmware, &keys).expect("known keys").expect("something to say");
        let typed = |order: &Order| match order {
            Order::Type { text, shown } => (text.clone(), shown.clone()),
            Order::Post { .. } => panic!("a form"),
        };
        let typed: Vec<_> = talk.orders.iter().map(typed).collect();
        assert_eq!(typed[0].0, "set url http://192.168.1.10:8002/");
        assert_eq!(typed[1], ("set pw secret words".to_owned(), format!("set pw {MASK}")));
        let error = super::talk(&firmware, &self::keys(&[("ota-ca", "x", false)])).expect_err("unknown").to_string();
        assert!(error.contains("ota-ca") && error.contains("`commands`"), "{error}");
        let error =
            super::talk(&firmware, &self::keys(&[("ota-url", "a\nb", false)])).expect_err("line end").to_string();
        assert!(error.contains("line end"), "{error}");
    }

    #[test]
    fn firmware_that_cannot_be_told_anything_is_told_nothing() {
        let firmware = firmware("how = \"none\"\n");
        assert!(talk(&firmware, &keys(&[])).expect("nothing to say").is_none());
        talk(&firmware, &keys(&[("ota-url", "x", false)])).expect_err("no way");
    }

    /// A device's page: takes one request, answers, and returns the request's head and body.
    fn page(answer: &'static str) -> (String, std::thread::JoinHandle<(String, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let url = format!("http://{}/submit", listener.local_addr().expect("address"));
        let device = std::thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().expect("a request").0);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(stream.read_line(&mut head).expect("head") > 0, "the request ended: {head}");
            }
            let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.expect("a length")];
            stream.read_exact(&mut body).expect("body");
            write!(stream.get_mut(), "HTTP/1.1 {answer}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
                .expect("answer");
            (head, String::from_utf8(body).expect("text"))
        });
        (url, device)
    }

    #[test]
    fn form_arrives_as_browsers_and_scripts_send_it() {
        for (encoding, wanted, kind) in [
            ("form", "ota_url=http%3A%2F%2F192.168.1.10%3A8002%2F%3Fa%3Db%26c", "application/x-www-form-urlencoded"),
            ("json", r#"{"ota_url":"http://192.168.1.10:8002/?a=b&c"}"#, "application/json"),
        ] {
            let (url, device) = page("200 OK");
            let firmware = firmware(&format!(
                "how = \"form\"\nurl = \"{url}\"\nencoding = \"{encoding}\"\nfields = {{ ota-url = \"ota_url\" }}\n"
            ));
            let keys = keys(&[("ota-url", "http://192.168.1.10:8002/?a=b&c", false)]);
            let talk = talk(&firmware, &keys).expect("known").expect("something to say");
            let [Order::Post { url, content_type, body, .. }] = talk.orders.as_slice() else { panic!("one form") };
            post(url, content_type, body).expect("taken");
            let (head, body) = device.join().expect("served");
            assert_eq!(body, wanted);
            assert!(head.to_lowercase().contains(&format!("content-type: {kind}")), "{head}");
        }
    }

    #[test]
    fn page_that_refuses_or_is_not_there_is_told() {
        let (url, device) = page("400 Bad Request");
        let error = post(&url, "application/json", "{}").expect_err("refused").to_string();
        device.join().expect("served");
        assert!(error.contains("it answers 400 Bad Request no"), "{error}");
        // Nobody listens there any more.
        let error = post(&url, "application/json", "{}").expect_err("gone").to_string();
        assert!(error.contains("is this host in the device's own network?"), "{error}");
    }
}
