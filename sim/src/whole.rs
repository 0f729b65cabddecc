//! What must be done whole or not at all, though somebody may press Ctrl-C meanwhile.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// Who ends the program when it is told to end.
#[derive(Default)]
struct Ending {
    /// How many threads are about something that must be whole.
    busy: Mutex<usize>,
    /// Whether the program ends at once, as it does without any of this.
    at_once: Arc<AtomicBool>,
    /// The signal that came while it did not; 0 is none.
    came: Arc<AtomicUsize>,
}

/// Does something that asks now and then whether it is to give up and clear away what it has made. If the program was
/// told to end meanwhile, it ends here, in the way in which it would have ended: with the last of the threads that are
/// about such things.
pub(crate) fn whole<T>(work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> T) -> T {
    static ENDING: OnceLock<Ending> = OnceLock::new();
    let ending = ENDING.get_or_init(Ending::watched);
    ending.end_if(ending.begin());
    let result = work(&|| ending.signal() != 0);
    ending.end_if(ending.finish());
    result
}

/// Writes a file by way of a hidden sibling, so that it is there whole or not at all, and nothing else is.
pub(crate) fn write_whole(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(file.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(".partial");
    let partial = file.with_file_name(name);
    whole(|_| {
        let written = File::create(&partial)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&partial, file));
        if written.is_err() {
            // What failed is told; what cannot be removed either is written over by the next program.
            let _ = fs::remove_file(&partial);
        }
        written
    })
}

/// What a thread is to do about a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    GoOn,
    /// Others are not done yet: the last of them ends the program.
    Wait,
    /// The program ends.
    End,
}

impl Ending {
    /// Without a place for handlers, the program ends at once and leaves what it was about.
    fn watched() -> Ending {
        let ending = Ending { at_once: Arc::new(AtomicBool::new(true)), ..Ending::default() };
        for signal in [SIGINT, SIGTERM] {
            let number = usize::try_from(signal).expect("signals have small numbers");
            // The first one acts first: it ends the program, or leaves the signal to be noted.
            let _ = flag::register_conditional_default(signal, ending.at_once.clone())
                .and_then(|_| flag::register_usize(signal, ending.came.clone(), number));
        }
        ending
    }

    fn signal(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    /// A thread is about something that must be whole; nothing of that sort is begun once a signal has come.
    fn begin(&self) -> Then {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        self.at_once.store(false, Ordering::SeqCst);
        match (self.signal(), *busy) {
            (0, _) => {
                *busy += 1;
                Then::GoOn
            }
            (_, 0) => Then::End,
            _ => Then::Wait,
        }
    }

    /// It is done with that.
    fn finish(&self) -> Then {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        *busy -= 1;
        if *busy == 0 {
            self.at_once.store(true, Ordering::SeqCst);
        }
        match (self.signal(), *busy) {
            (0, _) => Then::GoOn,
            (_, 0) => Then::End,
            _ => Then::Wait,
        }
    }

    fn end_if(&self, then: Then) {
        match then {
            Then::GoOn => {}
            Then::Wait => loop {
                std::thread::park();
            },
            Then::End => {
                if let Ok(signal @ 1..) = i32::try_from(self.signal()) {
                    // It fails for signals only that nobody can have sent here.
                    let _ = low_level::emulate_default_handler(signal);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thread_that_is_about_something_ends_the_program_and_none_begins_anything_then() {
        let ending = Ending::default();
        let ends_at_once = || ending.at_once.load(Ordering::SeqCst);
        assert_eq!((ending.begin(), ending.begin()), (Then::GoOn, Then::GoOn));
        assert_eq!((ending.finish(), ends_at_once()), (Then::GoOn, false), "the other one goes on");
        assert_eq!((ending.finish(), ends_at_once()), (Then::GoOn, true));
        assert_eq!((ending.begin(), ending.begin()), (Then::GoOn, Then::GoOn));
        ending.came.store(15, Ordering::SeqCst);
        assert_eq!(ending.finish(), Then::Wait);
        assert_eq!(ending.begin(), Then::Wait);
        assert_eq!(ending.finish(), Then::End);
        assert_eq!(ending.begin(), Then::End);
    }

    #[test]
    fn a_file_that_cannot_take_its_name_leaves_nothing_behind() {
        let place = std::env::temp_dir().join(format!("wavetank-whole-{}", std::process::id()));
        fs::create_dir_all(place.join("taken/full")).expect("a directory of our own");
        assert!(write_whole(&place.join("taken"), b"x").is_err(), "a directory has that name");
        write_whole(&place.join("free"), b"x").expect("it is written");
        let mut names: Vec<_> = fs::read_dir(&place).expect("it is there").flatten().map(|it| it.file_name()).collect();
        names.sort();
        fs::remove_dir_all(&place).expect("it is our own");
        assert_eq!(names, ["free", "taken"]);
    }
}
