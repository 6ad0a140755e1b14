//! `regstorm registrar`: the embedded registrar on its own, until it is told to stop.

use super::carriers::{LOCALHOST, unusable};
use super::failure::{Exit, Failure};
use super::output::{print, say};
use super::source::DiskSource;
use crate::cli::RegistrarArgs;
use crate::engine::{ConnectionTrouble, Listening, Server, Signals, StreamPort};
use crate::net::clock::Clock;
use crate::net::priority::prefer_promptness;
use crate::net::tls::{SelfSigned, TlsServer, fingerprint};
use crate::net::udp::{MOST_SEGMENTS, Udp, UdpOptions};
use crate::plan::{ListenAddr, PemFile, Plan, RegistrarChoice};
use crate::profile;
use crate::profile::REGISTRAR_PASSWORD;
use crate::registrar::{Config, ConnectionFaults, Counts, KnownUsers, Registrar};
use crate::seed::Seed;
use crate::vocab::{ShownCertificate, Time};
use std::io;
use std::net::SocketAddr;

pub(super) fn execute(args: &RegistrarArgs) -> Result<Exit, Failure> {
    let profile = match &args.profile {
        Some(path) => profile::load(&DiskSource, &path.to_string_lossy(), &args.sets)?,
        None => profile::empty(&DiskSource, &args.sets)?,
    };
    let plan = Plan::new(&profile)?;
    for warning in &plan.warnings {
        say(&format!("warning: {warning}"));
    }
    let listen = match args.listen.as_slice() {
        [] => plan.listen.clone(),
        texts => texts
            .iter()
            .map(|text| text.parse().map_err(|error| Failure::usage(format!("--listen {text}: {error}"))))
            .collect::<Result<_, _>>()?,
    };
    let threads = args.threads.map_or(plan.registrar_threads, |threads| threads as usize);
    let addresses: Vec<SocketAddr> = listen.iter().map(|listen| listen.address).collect();
    openness(&plan.registrar.users, &addresses).iter().for_each(|warning| say(warning));
    let clock = Clock::new();
    // Before any thread is started: they inherit it.
    prefer_promptness();
    let runtime = super::runtime()?;
    let counts = runtime.block_on(async {
        // Whoever waits for the line below may send a signal right after it.
        let mut signals = Signals::listen(clock).map_err(Failure::could_not)?;
        let seed = Seed(plan.seed.unwrap_or_else(super::random));
        let server =
            serve(plan.registrar.clone(), seed, (&listen, plan.registrar_tls.as_ref()), threads, clock, clock.now())?;
        let line = |&(transport, address): &(_, _)| format!("listening {}\n", ListenAddr { transport, address });
        let mut lines: String = server.addresses().iter().map(line).collect();
        if let Some(print) = server.certificate().and_then(|pem| fingerprint(pem.as_bytes()).ok()) {
            lines.push_str(&format!("certificate SHA-256 {print}\n"));
        }
        print(&lines)?;
        signals.next().await;
        server.stop().map_err(|error| Failure::could_not(format!("the registrar failed: {error}")))
    })?;
    say(&account(&counts));
    Ok(Exit::Success)
}

/// What to say of a registrar that others reach and everybody can guess the password of.
fn openness(users: &KnownUsers, addresses: &[SocketAddr]) -> Option<String> {
    let open = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback())?;
    let KnownUsers::Anybody(password) = users else { return None };
    (password.reveal() == REGISTRAR_PASSWORD).then(|| {
        format!(
            "warning: {open} is open to other machines, and any user registers there with the password everybody knows; \
             set registrar.password, or listen on 127.0.0.1"
        )
    })
}

/// The embedded registrar of a plan, if any trunk registers with it; windows of its faults count
/// from `start`.
///
/// # Errors
/// When it cannot listen.
pub(super) fn embedded(plan: &Plan, seed: Seed, clock: Clock, start: Time) -> Result<Option<Server>, Failure> {
    if !plan.trunks.iter().any(|trunk| trunk.registrar == RegistrarChoice::Embedded) {
        return Ok(None);
    }
    let listen = (plan.listen.as_slice(), plan.registrar_tls.as_ref());
    serve(plan.registrar.clone(), seed, listen, plan.registrar_threads, clock, start).map(Some)
}

/// Where such a registrar is reached: at the first address the profile names.
pub(super) fn address_of(plan: &Plan, server: Option<&Server>) -> Option<SocketAddr> {
    let over = plan.listen.first()?.transport;
    let found = server?.addresses().iter().find(|(transport, _)| *transport == over);
    found.map(|(_, address)| *address)
}

/// What it did, in one line.
fn account(counts: &Counts) -> String {
    let mut line = format!(
        "{} REGISTER, {} answered 200, {} challenged, bindings now {}, at most {}",
        counts.registers, counts.registered, counts.challenges, counts.bindings, counts.bindings_peak
    );
    for (code, count) in &counts.refusals {
        line.push_str(&format!(", {count} answered {code}"));
    }
    line
}

/// What secures the registrar's connections.
struct Securing {
    server: TlsServer,
    /// PEM.
    certificate: String,
    /// Shown instead of it where a fault says so.
    others: Vec<(ShownCertificate, TlsServer)>,
}

/// Nothing where it listens for no connections that are secured.
fn secure(
    listen: &[ListenAddr],
    own: Option<&(PemFile, PemFile)>,
    faults: &ConnectionFaults,
) -> Result<Option<Securing>, Failure> {
    let places: Vec<_> = listen.iter().filter(|listen| listen.transport.is_secured()).collect();
    if places.is_empty() {
        return Ok(None);
    }
    let files = [None, own.map(|(certificate, _)| certificate), own.map(|(_, key)| key)];
    let failed = |error| unusable(&error, files, "registrar.tls");
    let server = |made: &SelfSigned| TlsServer::new(made.certificate.as_bytes(), made.key.as_bytes()).map_err(failed);
    if let Some((certificate, key)) = own {
        let given = SelfSigned { certificate: certificate.pem.reveal().to_owned(), key: key.pem.reveal().to_owned() };
        return Ok(Some(Securing { server: server(&given)?, certificate: given.certificate, others: Vec::new() }));
    }
    let names = places.iter().map(|listen| listen.address.ip().to_string());
    let names: Vec<String> = names.chain([LOCALHOST.to_owned()]).collect();
    let made = SelfSigned::new(names.clone()).map_err(failed)?;
    let other = |wrong| Ok((wrong, server(&made.with(names.clone(), wrong).map_err(failed)?)?));
    let others = faults.certificates().map(other).collect::<Result<_, Failure>>()?;
    Ok(Some(Securing { server: server(&made)?, certificate: made.certificate, others }))
}

/// Binds the addresses and starts serving with so many threads, 0 for one per core; windows of
/// faults count from `start`.
///
/// # Errors
/// When an address cannot be had.
pub(super) fn serve(
    config: Config,
    seed: Seed,
    (listen, own): (&[ListenAddr], Option<&(PemFile, PemFile)>),
    threads: usize,
    clock: Clock,
    start: Time,
) -> Result<Server, Failure> {
    // Clients that went away answer with ICMP; it has nobody to tell.
    let options = UdpOptions { error_queue: false, segments: MOST_SEGMENTS, coalescing: true, ..UdpOptions::default() };
    let registrar = Registrar::new(config, seed, start);
    let faults = registrar.connection_faults().clone();
    let secured = secure(listen, own, &faults)?;
    let certificates = secured.as_ref().map_or_else(Vec::new, |secured| secured.others.clone());
    let certificate = secured.as_ref().map(|secured| secured.certificate.clone());
    let trouble = ConnectionTrouble { faults, certificates };
    let mut listening = Listening { certificate, trouble, ..Listening::default() };
    for &ListenAddr { transport, address } in listen {
        if transport.is_stream() {
            let tls = secured.as_ref().filter(|_| transport.is_secured()).map(|secured| secured.server.clone());
            let port = StreamPort::bind(address, tls, transport.is_web()).map_err(|error| {
                let place = ListenAddr { transport, address };
                Failure::could_not(format!("the embedded registrar cannot listen on {place}: {error}"))
            })?;
            listening.streams.push(port);
        } else {
            let udp = Udp::bound(address, &options)
                .map_err(|error| Failure::could_not(format!("the embedded registrar: {error}")))?;
            listening.udp.push(udp);
        }
    }
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let started: io::Result<Server> = Server::start(registrar, listening, threads, clock);
    started.map_err(|error| Failure::could_not(format!("the embedded registrar could not be started: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::Secret;

    #[test]
    fn a_registrar_that_others_reach_needs_a_password_of_its_own() {
        let address = |text: &str| [text.parse().expect("an address")];
        let anybody = |password: &str| KnownUsers::Anybody(Secret::new(password));
        assert!(
            openness(&anybody("secret"), &address("0.0.0.0:5060")).is_some_and(|said| said.contains("0.0.0.0:5060"))
        );
        for (users, place) in [("secret", "127.0.0.1:5060"), ("secret", "[::1]:5060"), ("s3cret", "0.0.0.0:5060")] {
            assert_eq!(openness(&anybody(users), &address(place)), None, "{users} {place}");
        }
    }
}
