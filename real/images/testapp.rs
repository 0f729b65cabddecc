//! `testapp`: a tiny HTTP server for the tests that run against the real engine.
//!
//! `GET /` answers "<version> <host name>", `GET /healthz` answers 200 when ready and 503 before and while it ends.
//! `GET /etc/resolv.conf` and any other file below `/etc` answers that file. On SIGTERM it finishes what it is
//! answering and leaves with 0. The environment changes its behaviour:
//! PORT (8080), VERSION ("unversioned"), READY_AFTER and EXIT_AFTER (seconds), EXIT_CODE (0, with EXIT_AFTER),
//! IGNORE_SIGTERM (1: it does), EAT_MIB (memory to fill at start). A value that cannot be read ends it with 64.
//!
//! Compiled on its own, statically: `rustc --edition=2024 -O -C target-feature=+crt-static images/testapp.rs`.
#![deny(unsafe_code)]

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    process::exit,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

const BAD_ENVIRONMENT: i32 = 64;
const REQUEST_BYTES_MAX: usize = 8192;
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

static ENDING: AtomicBool = AtomicBool::new(false);
static OPEN: AtomicUsize = AtomicUsize::new(0);

fn main() {
    // Before the first thread: every thread inherits the mask, so the signal waits for `wait_for_sigterm`.
    signals::block_sigterm();
    let started = Instant::now();
    let port: u16 = number("PORT", 8080);
    let ready_after = Duration::from_secs(number("READY_AFTER", 0));
    let eaten = vec![1_u8; number::<usize>("EAT_MIB", 0) << 20];
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap_or_else(|error| {
        eprintln!("cannot listen on port {port}: {error}");
        exit(1)
    });
    println!("listening on {port}, ate {} MiB", eaten.iter().map(|byte| usize::from(*byte)).sum::<usize>() >> 20);
    if env::var_os("EXIT_AFTER").is_some() {
        let (after, code) = (Duration::from_secs(number("EXIT_AFTER", 0)), number("EXIT_CODE", 0));
        thread::spawn(move || {
            thread::sleep(after);
            eprintln!("leaving with {code}");
            exit(code)
        });
    }
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            OPEN.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                if let Err(error) = answer(stream, started.elapsed() >= ready_after) {
                    eprintln!("request failed: {error}");
                }
                OPEN.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    let ignore = number("IGNORE_SIGTERM", 0) == 1;
    loop {
        signals::wait_for_sigterm();
        if !ignore {
            break;
        }
        println!("ignoring SIGTERM");
    }
    drain();
}

fn drain() {
    println!("SIGTERM: finishing");
    ENDING.store(true, Ordering::SeqCst);
    let began = Instant::now();
    while OPEN.load(Ordering::SeqCst) > 0 && began.elapsed() < DRAIN_LIMIT {
        thread::sleep(Duration::from_millis(10));
    }
}

fn answer(mut stream: TcpStream, ready: bool) -> io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_LIMIT))?;
    stream.set_write_timeout(Some(REQUEST_LIMIT))?;
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut piece)?;
        request.extend_from_slice(&piece[..count]);
        if count == 0 || request.len() > REQUEST_BYTES_MAX {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&request);
    let (status, body) = match text.split(' ').nth(1) {
        Some("/") => ("200 OK", format!("{} {}\n", version(), host_name())),
        Some("/healthz") if ready && !ENDING.load(Ordering::SeqCst) => ("200 OK", "ok\n".to_owned()),
        Some("/healthz") => ("503 Service Unavailable", "not ready\n".to_owned()),
        Some(path) if path.starts_with("/etc/") && !path.contains("..") => ("200 OK", fs::read_to_string(path)?),
        _ => ("404 Not Found", "not found\n".to_owned()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nConnection: close");
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn version() -> String {
    env::var("VERSION").unwrap_or_else(|_| "unversioned".to_owned())
}

fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|error| error.to_string(), |name| name.trim().to_owned())
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    match env::var(name) {
        Err(_) => default,
        Ok(text) => text.parse().unwrap_or_else(|_| {
            eprintln!("{name} is {text:?}, expected a number");
            exit(BAD_ENVIRONMENT)
        }),
    }
}

/// Waiting for a signal, which the standard library cannot do and for which this file may not use another library.
#[expect(unsafe_code, reason = "four functions of the C library, declared by hand")]
mod signals {
    const SIGTERM: i32 = 15;
    const SIG_BLOCK: i32 = 0;

    /// Room for the C library's `sigset_t`: 128 bytes on Linux with glibc and musl.
    #[repr(C, align(16))]
    struct SignalSet([u64; 16]);

    unsafe extern "C" {
        fn sigemptyset(set: *mut SignalSet) -> i32;
        fn sigaddset(set: *mut SignalSet, signal: i32) -> i32;
        fn pthread_sigmask(how: i32, set: *const SignalSet, old: *mut SignalSet) -> i32;
        fn sigwait(set: *const SignalSet, signal: *mut i32) -> i32;
    }

    fn sigterm() -> SignalSet {
        let mut set = SignalSet([0; 16]);
        // SAFETY: the set is large enough and lives through both calls.
        let result = unsafe { sigemptyset(&raw mut set) | sigaddset(&raw mut set, SIGTERM) };
        assert_eq!(result, 0, "SIGTERM is a signal");
        set
    }

    pub fn block_sigterm() {
        // SAFETY: the set is initialised; the old mask is not asked for.
        let set = sigterm();
        let result = unsafe { pthread_sigmask(SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        assert_eq!(result, 0, "the mask can be set");
    }

    pub fn wait_for_sigterm() {
        let (set, mut signal) = (sigterm(), 0);
        // SAFETY: both live through the call.
        let result = unsafe { sigwait(&raw const set, &raw mut signal) };
        assert_eq!((result, signal), (0, SIGTERM), "only SIGTERM is waited for");
    }
}
