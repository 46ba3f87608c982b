use super::*;
use crate::dialect;

fn xiaozhi() -> Arc<Dialect> {
    Arc::new(dialect::embedded("xiaozhi").expect("embedded"))
}

fn of(console: &[u8], server: Option<&str>) -> Analysis {
    let server = server.map(|url| Url::parse(url).expect("a URL"));
    analyze(console, xiaozhi(), server.as_ref()).expect("read")
}

const WRONG_PORT: &[u8] = include_bytes!("../../../fixtures/consoles/wrong-port-1.5.9.log");

#[test]
fn wrong_port_case() {
    insta::assert_snapshot!(render(&of(WRONG_PORT, None)));
}

#[test]
fn wrong_port_case_with_the_server_known() {
    insta::assert_snapshot!(render(&of(WRONG_PORT, Some("http://192.168.88.200:8002/xiaozhi/ota/"))));
}
