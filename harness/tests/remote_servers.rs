//! Well-known RFC 2217 servers in front of a virtual board's pty. A pty has no modem lines: the board is reset by its
//! control socket. Some of them listen on all addresses, so all of it runs in a network namespace of its own.

mod remote;

use std::net::TcpListener;
use std::process::{Child, Command, ExitCode, Stdio};

use outside_tools::Need;
use remote::VirtualBoard;

fn main() -> ExitCode {
    if let Some(code) = remote::in_namespace() {
        return code;
    }
    outside_tools::main(
        &[Need::Program("ser2net"), Need::Program("esp_rfc2217_server")],
        outside_tools::tests![scenario_passes_through_esp_rfc2217_server, scenario_passes_through_ser2net],
    )
}

/// A port that was free a moment ago; the server that gets it is asked until it answers, or fails at once.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("listener").local_addr().expect("address").port()
}

const GUARD: std::time::Duration = std::time::Duration::from_secs(60);

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // One that ended by itself is no concern here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server on a free port and waits until it listens; another port where somebody else was faster.
fn serve(command: impl Fn(u16) -> Command) -> (Server, u16) {
    let begun = std::time::Instant::now();
    loop {
        let port = free_port();
        let mut server = Server(command(port).spawn().expect("the server starts"));
        while server.0.try_wait().expect("the server").is_none() {
            // No test waits for ever; a server that has not begun to listen by then never will.
            assert!(begun.elapsed() < GUARD, "the server does not listen");
            // A connection would take the only client's place: the kernel's own table tells who listens.
            if listens(port) {
                return (server, port);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

fn listens(port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    // proc(5): the second column is the local address, the fourth the state; 0A is LISTEN.
    tables.iter().flat_map(|table| table.lines()).any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns.get(1).is_some_and(|local| local.ends_with(&wanted)) && columns.get(3) == Some(&"0A")
    })
}

/// It sets modem lines as soon as a client comes, which a pty has not; so it stands in front of the virtual board's own
/// server.
fn scenario_passes_through_esp_rfc2217_server() {
    remote::loopback_up();
    let tool = outside_tools::program("esp_rfc2217_server");
    let board = VirtualBoard::new();
    let (_server, port) = serve(|port| {
        let mut command = Command::new(&tool);
        command.args(["-p", &port.to_string(), &format!("rfc2217://{}", board.rfc2217)]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    });
    board.passes_behind(&format!("rfc2217://127.0.0.1:{port}?ign_set_control"));
}

fn scenario_passes_through_ser2net() {
    remote::loopback_up();
    let board = VirtualBoard::new();
    let config = board.path("ser2net.yaml");
    let (_server, port) = serve(|port| {
        let text = format!(
            "connection: &board\n  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}\n  connector: serialdev,{},115200n81,local\n",
            board.port
        );
        std::fs::write(&config, text).expect("configuration");
        let mut command = Command::new(outside_tools::program("ser2net"));
        command.args(["-n", "-d", "-c"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        command
    });
    board.passes_behind(&format!("rfc2217://127.0.0.1:{port}"));
}
