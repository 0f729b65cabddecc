//! What must be done whole or not at all, though somebody may press Ctrl-C meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// Who ends the program when it is told to end.
struct Ending {
    /// Whether the program ends at once, as it does without any of this.
    at_once: Arc<AtomicBool>,
    /// The signal that came while it did not; 0 is none.
    came: Arc<AtomicUsize>,
}

/// Does something that asks now and then whether it is to give up and clear away what it has made. If the program was
/// told to end meanwhile, it ends here, in the way in which it would have ended.
pub(super) fn whole<T>(work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> T) -> T {
    static ENDING: OnceLock<Ending> = OnceLock::new();
    let ending = ENDING.get_or_init(Ending::watched);
    ending.at_once.store(false, Ordering::SeqCst);
    let result = work(&|| ending.came.load(Ordering::SeqCst) != 0);
    ending.at_once.store(true, Ordering::SeqCst);
    if let Ok(signal @ 1..) = i32::try_from(ending.came.load(Ordering::SeqCst)) {
        // It fails for signals only that nobody can have sent here.
        let _ = low_level::emulate_default_handler(signal);
    }
    result
}

impl Ending {
    /// Without a place for handlers, the program ends at once and leaves what it was about.
    fn watched() -> Ending {
        let ending = Ending { at_once: Arc::new(AtomicBool::new(true)), came: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            let number = usize::try_from(signal).expect("signals have small numbers");
            // The first one acts first: it ends the program, or leaves the signal to be noted.
            let _ = flag::register_conditional_default(signal, ending.at_once.clone())
                .and_then(|_| flag::register_usize(signal, ending.came.clone(), number));
        }
        ending
    }
}
