//! QEMU's machine protocol: one JSON object a line; orders and their replies, with events between them at any time.
//!
//! Source: QEMU's documentation, "QEMU Machine Protocol Specification".

use std::collections::VecDeque;
use std::io;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A line longer than this is no QMP: the longest replies to what is asked here have some hundred bytes.
const LONGEST: usize = 1 << 20;
/// How much is read at once.
const CHUNK: usize = 4096;

/// The conversation broke down.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// The other end is gone.
    #[error("it closed the connection")]
    Closed,
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is not what the protocol says.
    #[error("{0}")]
    Malformed(String),
    /// It refused an order.
    #[error("{why}")]
    Refused {
        /// The order.
        order: String,
        /// Its words.
        why: String,
    },
}

/// Something that happened in the emulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QmpEvent {
    /// Its name: STOP, RESET.
    pub name: String,
    /// What caused it, where that is said: "guest-reset".
    pub reason: Option<String>,
    /// True when the guest did it.
    pub guest: bool,
}

/// One line of the emulator.
#[derive(Debug, PartialEq, Eq)]
enum Message {
    Greeting { version: String },
    Reply { id: Option<u64>, result: Result<Value, String> },
    Event(QmpEvent),
}

fn parse(line: &[u8]) -> Result<Message, QmpError> {
    let start = || String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
    let malformed = |why: &str| QmpError::Malformed(format!("{why}: {:?}", start()));
    let value: Value = serde_json::from_slice(line).map_err(|_| malformed("this is no JSON"))?;
    let id = value["id"].as_u64();
    if let Some(greeting) = value.get("QMP") {
        let number = |part: &str| greeting["version"]["qemu"][part].as_u64();
        let parts = ["major", "minor", "micro"].map(number);
        let [Some(major), Some(minor), Some(micro)] = parts else {
            return Err(malformed("a greeting without version"));
        };
        let package = greeting["version"]["package"].as_str().unwrap_or_default();
        return Ok(Message::Greeting { version: format!("{major}.{minor}.{micro} {package}").trim_end().to_owned() });
    }
    if let Some(result) = value.get("return") {
        return Ok(Message::Reply { id, result: Ok(result.clone()) });
    }
    if let Some(error) = value.get("error") {
        let why = error["desc"].as_str().unwrap_or("it gave no reason").to_owned();
        return Ok(Message::Reply { id, result: Err(why) });
    }
    let name = value["event"].as_str().ok_or_else(|| malformed("neither greeting, reply nor event"))?;
    let data = &value["data"];
    Ok(Message::Event(QmpEvent {
        name: name.to_owned(),
        reason: data["reason"].as_str().or(data["action"].as_str()).map(str::to_owned),
        guest: data["guest"].as_bool().unwrap_or(false),
    }))
}

/// A connection to an emulator's monitor.
#[derive(Debug)]
pub struct Qmp<S> {
    stream: S,
    buffer: Vec<u8>,
    orders: u64,
    events: VecDeque<QmpEvent>,
    version: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Qmp<S> {
    /// Waits for the greeting and leaves the negotiation of capabilities behind.
    ///
    /// # Errors
    ///
    /// The other end greets otherwise, refuses, or goes.
    pub async fn greeted(stream: S) -> Result<Self, QmpError> {
        let mut qmp = Self { stream, buffer: Vec::new(), orders: 0, events: VecDeque::new(), version: String::new() };
        match qmp.message().await? {
            Message::Greeting { version } => qmp.version = version,
            other => return Err(QmpError::Malformed(format!("it greets with {other:?}"))),
        }
        qmp.execute("qmp_capabilities").await?;
        Ok(qmp)
    }

    /// The emulator's version, as it greeted.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Gives an order and waits for its reply. Events that come meanwhile are kept.
    ///
    /// # Errors
    ///
    /// It refuses, or goes.
    pub async fn execute(&mut self, order: &str) -> Result<Value, QmpError> {
        self.orders += 1;
        let wanted = self.orders;
        let line = json!({ "execute": order, "id": wanted }).to_string() + "\n";
        self.stream.write_all(line.as_bytes()).await?;
        loop {
            match self.message().await? {
                // A reply to an order that was given up is nobody's. One without an id answers a line that it could not
                // read, and no other line is under way.
                Message::Reply { id, result } if id.is_none_or(|id| id == wanted) => {
                    return result.map_err(|why| QmpError::Refused { order: order.to_owned(), why });
                }
                Message::Reply { .. } => {}
                Message::Event(event) => self.events.push_back(event),
                Message::Greeting { .. } => return Err(QmpError::Malformed("it greets twice".to_owned())),
            }
        }
    }

    /// Waits for an event. Safe to drop: nothing is lost.
    ///
    /// # Errors
    ///
    /// The other end is gone, or says what is no event while nothing was asked.
    pub async fn event(&mut self) -> Result<QmpEvent, QmpError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            match self.message().await? {
                Message::Event(event) => return Ok(event),
                Message::Reply { .. } => {}
                Message::Greeting { .. } => return Err(QmpError::Malformed("it greets twice".to_owned())),
            }
        }
    }

    /// The next line. Safe to drop: what was read stays.
    async fn message(&mut self) -> Result<Message, QmpError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = line.trim_ascii();
                if line.is_empty() {
                    continue;
                }
                return parse(line);
            }
            if self.buffer.len() > LONGEST {
                return Err(QmpError::Malformed(format!("a line has more than {LONGEST} bytes")));
            }
            self.buffer.reserve(CHUNK);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(QmpError::Closed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt as _, BufReader, DuplexStream, duplex};

    /// As Debian's QEMU 7.2 says it.
    const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2"}, "capabilities": ["oob"]}}"#;
    const RESET: &str = r#"{"timestamp": {"seconds": 1795470122, "microseconds": 631538}, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}"#;
    const STOP: &str = r#"{"timestamp": {"seconds": 1795470122, "microseconds": 632160}, "event": "STOP"}"#;

    fn lines(lines: &[&str]) -> String {
        lines.iter().map(|line| format!("{line}\r\n")).collect()
    }

    /// An emulator that says a greeting, and to each order the next of `answers`.
    async fn emulator(stream: DuplexStream, greeting: &str, answers: &[String]) -> Vec<String> {
        let mut stream = BufReader::new(stream);
        let mut heard = Vec::new();
        stream.write_all(lines(&[greeting]).as_bytes()).await.expect("greets");
        for answer in answers {
            let mut line = String::new();
            if stream.read_line(&mut line).await.expect("reads") == 0 {
                break;
            }
            heard.push(line.trim().to_owned());
            // The client may be gone after what it could not understand.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        heard
    }

    fn returned(id: u64) -> String {
        format!("{{\"return\": {{}}, \"id\": {id}}}")
    }

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(future)
    }

    #[test]
    fn events_before_a_reply_are_kept_and_do_not_answer() {
        run(async {
            let (near, far) = duplex(64);
            let answers = [lines(&[RESET, &returned(1)]), lines(&[STOP, &returned(7), RESET, &returned(2)])];
            let client = async {
                let mut qmp = Qmp::greeted(near).await.expect("greeted");
                assert_eq!(qmp.version(), "7.2.22 Debian 1:7.2");
                qmp.execute("stop").await.expect("the reply with its own id");
                let names = [qmp.event().await, qmp.event().await, qmp.event().await].map(|e| e.expect("event").name);
                assert_eq!(names, ["RESET", "STOP", "RESET"]);
                assert!(matches!(qmp.event().await, Err(QmpError::Closed)), "nothing more, and it is gone");
            };
            let (heard, ()) = tokio::join!(emulator(far, GREETING, &answers), client);
            assert_eq!(heard, [r#"{"execute":"qmp_capabilities","id":1}"#, r#"{"execute":"stop","id":2}"#]);
        });
    }

    #[test]
    fn refusal_is_told_in_the_emulators_words() {
        run(async {
            let (near, far) = duplex(64);
            let refusal = r#"{"id": 2, "error": {"class": "CommandNotFound", "desc": "The command nonsense has not been found"}}"#;
            let answers = [lines(&[&returned(1)]), lines(&[refusal])];
            let client = async {
                let mut qmp = Qmp::greeted(near).await.expect("greeted");
                let error = qmp.execute("nonsense").await.expect_err("refused");
                assert_eq!(error.to_string(), "The command nonsense has not been found");
            };
            tokio::join!(emulator(far, GREETING, &answers), client);
        });
    }

    #[test]
    fn greeting_of_something_else_is_no_qmp() {
        for (greeting, words) in [
            ("SSH-2.0-OpenSSH_9.2", "no JSON"),
            ("{}", "neither greeting"),
            (r#"{"QMP": {}}"#, "without version"),
            (r#"{"event": "RESET"}"#, "greets with"),
        ] {
            run(async {
                let (near, far) = duplex(64);
                let client = async { Qmp::greeted(near).await.expect_err(greeting).to_string() };
                let answers = [String::new()];
                let (_, error) = tokio::join!(emulator(far, greeting, &answers), client);
                assert!(error.contains(words), "{greeting}: {error}");
            });
        }
    }

    #[test]
    fn line_without_end_is_given_up() {
        run(async {
            let (near, mut far) = duplex(1 << 16);
            let flood = async {
                // The client goes when it has had enough.
                while far.write_all(&[b'x'; 4096]).await.is_ok() {}
            };
            let client = async { Qmp::greeted(near).await.expect_err("too long").to_string() };
            let ((), error) = tokio::join!(flood, client);
            assert!(error.contains("more than 1048576 bytes"), "{error}");
        });
    }

    #[test]
    fn waiting_for_an_event_can_be_given_up_within_a_line() {
        run(async {
            let (near, mut far) = duplex(1024);
            far.write_all(lines(&[GREETING, &returned(1)]).as_bytes()).await.expect("greets");
            let mut qmp = Qmp::greeted(near).await.expect("greeted");
            let (begin, rest) = STOP.split_at(20);
            far.write_all(begin.as_bytes()).await.expect("begins");
            // The read of the beginning is done before the other branch is looked at.
            tokio::select! {
                biased;
                event = qmp.event() => panic!("half an event: {event:?}"),
                () = std::future::ready(()) => {}
            }
            far.write_all(lines(&[rest]).as_bytes()).await.expect("ends");
            assert_eq!(qmp.event().await.expect("whole").name, "STOP");
        });
    }
}
