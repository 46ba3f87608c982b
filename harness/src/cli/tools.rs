//! `brickproof analyze`, `doctor`, `serve` and `virtual`.

use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use miette::{Result, miette};
use ota_server::dns::DnsConfig;
use ota_server::plan::FaultRule;
use ota_server::serve::{ServeOptions, serve as serve_alone};
use ota_server::server::Offer;
use ota_server::tls::Authority;
use virtual_esp32::standalone::{DEFAULT_FLASH_SIZE, Options, Standalone, interrupted};

use super::args::{AnalyzeArgs, DoctorArgs, ServeArgs, VirtualArgs};
use super::{out, run::chip};
use crate::analyze::{self, Format};
use crate::console::ConsoleReader;
use crate::doctor;
use crate::secrets::Secrets;
use crate::symbols::Elf;
use crate::timeline::{Event, EventKind, describe};

pub(super) fn analyze(args: &AnalyzeArgs, secrets: &Secrets) -> Result<u8> {
    let dialect = crate::dialect::load(&args.dialect)?;
    let input: Box<dyn Read> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(&args.file).map_err(|e| miette!("cannot read {}: {e}", args.file.display()))?)
    };
    let format = if args.json { Format::Json } else { Format::Text };
    let elf = args.elf.as_deref().map(Elf::open).transpose().map_err(|e| miette!("{e}"))?;
    let mut text = Vec::new();
    let reader = ConsoleReader::new(Arc::new(dialect)).masking(secrets.fork());
    analyze::run(input, reader, args.server.as_ref(), elf.as_ref(), format, &mut text)
        .map_err(|e| miette!("cannot analyse {}: {e}", args.file.display()))?;
    // Sentences name the server, as the command line gives it.
    out(&secrets.mask(&String::from_utf8_lossy(&text)))?;
    Ok(0)
}

pub(super) fn doctor(args: &DoctorArgs, secrets: &Secrets) -> Result<u8> {
    let report = doctor::examine(&doctor::Options::new(&args.url)).masked(secrets);
    if args.json {
        out(&(serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"))?;
    } else {
        let mut text = Vec::new();
        doctor::write(&report, &mut text).map_err(|e| miette!("{e}"))?;
        out(&String::from_utf8_lossy(&text))?;
    }
    Ok(report.outcome.exit_code())
}

/// Runs a future in real time until its end.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|e| miette!("cannot make a runtime: {e}"))?.block_on(future))
}

pub(super) fn serve(args: &ServeArgs, secrets: &Secrets) -> Result<u8> {
    let faults: Vec<FaultRule> =
        args.fault.iter().map(|text| text.parse().map_err(|e: String| miette!("{e}"))).collect::<Result<_>>()?;
    let offer = match &args.image {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|e| miette!("cannot read {}: {e}", path.display()))?;
            let facts = esp_image::patch::facts(&bytes).map_err(|e| {
                miette!(help = "give an application image (the build folder's project.bin)", "{}: {e}", path.display())
            })?;
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let version = facts.descriptor.version().to_owned();
            Some(Offer { version, bytes: bytes.into(), file_name, force: false })
        }
    };
    let authority = match &args.ca {
        Some(file) => Some(authority(file, args)?),
        None => None,
    };
    let api = args.api.map(|address| {
        std::net::TcpListener::bind(address).map_err(|e| miette!("the fault API cannot listen on {address}: {e}"))
    });
    let api = api.transpose()?;
    let api_address = api.as_ref().map(std::net::TcpListener::local_addr).transpose();
    let options = ServeOptions {
        listen: args.listen.clone(),
        tls: args.tls_listen.clone(),
        dns: args.dns_listen.map(|bind| DnsConfig { bind, names: args.dns_name.clone() }),
        authority,
        advertised: args.advertise.clone(),
        offer,
        upstream: args.upstream,
        api,
        ota_path: args.ota_path.clone(),
        faults,
        seed: args.seed,
        secrets: secrets.clone(),
    };
    if let Some(address) = api_address.map_err(|e| miette!("the fault API has no address: {e}"))? {
        out(&format!("the fault API listens on http://{address}\n"))?;
    }
    let served = block_on(async {
        let shutdown = async {
            // Without a signal handler the server is ended by the signal itself.
            if interrupted().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        serve_alone(options, shutdown, |stamped| {
            let at_ns = u64::try_from(stamped.at.as_nanos()).unwrap_or(u64::MAX);
            let event = Event { seq: 0, at_ns, wall_ms: 0, device: None, kind: EventKind::Server(stamped.event) };
            if let Some((_, text)) = describe(&event) {
                // A reader that left does not end the server.
                let _ = out(&format!("{:>10.3} s  {text}\n", stamped.at.as_secs_f64()));
            }
        })
        .await
    })?;
    served.map_err(|e| miette!("{e}"))?;
    Ok(0)
}

/// Makes a test authority and writes its root certificate.
fn authority(file: &Path, args: &ServeArgs) -> Result<Arc<Authority>> {
    let mut hosts = args.tls_name.clone();
    if hosts.is_empty() {
        hosts = args.tls_listen.iter().map(|address| address.ip().to_string()).collect();
    }
    let authority = Authority::new(&hosts).map_err(|e| miette!("{e}"))?;
    std::fs::write(file, authority.root_pem())
        .map_err(|e| miette!("cannot write the root certificate to {}: {e}", file.display()))?;
    Ok(Arc::new(authority))
}

pub(super) fn virtual_board(args: &VirtualArgs) -> Result<u8> {
    let options = Options {
        chip: chip(Some(&args.chip))?,
        flash: args.flash.clone(),
        flash_size: DEFAULT_FLASH_SIZE,
        mac: args.mac,
        download: args.download,
        control: args.control.clone(),
        rfc2217: args.rfc2217,
        link: args.link.clone(),
        pace: args.pace,
        software: Box::new(virtual_esp32::FlashBoot),
    };
    block_on(async {
        let board = Standalone::open(options).await.map_err(|e| miette!("{e}"))?;
        let published = serde_json::to_string(board.published()).map_err(|e| miette!("{e}"))?;
        out(&format!("{published}\n"))?;
        board
            .run(async {
                if interrupted().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
            .await;
        Ok(0)
    })?
}
