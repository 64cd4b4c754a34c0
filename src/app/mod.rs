//! Builds the house from a configuration, and runs it until it is told to stop.
//!
//! Every thread of the data plane has a runtime, a listener and upstream connections of its own;
//! what they share is the configuration, the limits and the events. Operators are answered by a
//! thread beside them, and the first thread of the process waits for signals.

mod failure;
mod house;
mod lists;
mod notify;
mod process;
mod register;
mod signals;

pub use failure::Failure;
pub use house::House;
pub use register::{open_register, store_place};

use std::path::Path;

use crate::clock::Clock;
use crate::config;
use crate::events::{Events, PanicMet, Sink, Started, Stopped, Stopping};
use crate::limits;
use signals::{Signals, Told};

/// How a gateway that was running came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A thread of the data plane ended by itself: a defect.
    Broken,
    /// It was asked to stop, and requests under way were given their time.
    Drained,
    /// It was told a second time, and stopped at once.
    Told,
}

/// Runs the gateway with the configuration in `folder`, on `threads` threads if that is given,
/// until a signal ends it: SIGTERM or SIGINT drain, a second one stops at once, SIGHUP reloads.
///
/// # Errors
/// [`Failure`], if it cannot start whole; then nothing of it is left running.
pub fn serve(folder: &Path, threads: Option<usize>) -> Result<Ending, Failure> {
    process::allow_files();
    let (config, findings) = config::load(folder).map_err(Failure::Config)?;
    let threads = threads.unwrap_or(config.threads);
    let clock = Clock::system();
    let events = Events::new(config.log, Sink::Stderr, clock.clone())?;
    quiet_panics(&events);
    events.emit(Started { threads });
    house::say_findings(&events, &findings);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Failure::Process)?;
    let signals = {
        let _reactor = runtime.enter();
        Signals::listen().map_err(Failure::Process)?
    };
    let house = House::open(config, threads, events, clock)?;
    notify::tell("READY=1");
    Ok(runtime.block_on(until_told(folder, house, signals)))
}

/// Waits for signals and does what they say.
async fn until_told(folder: &Path, mut house: House, mut signals: Signals) -> Ending {
    // They have just been read: what they were then is compared with what they are later.
    let mut lists = tokio::time::interval(limits::OBJECTIONS_LOOK);
    lists.reset();
    loop {
        let told = tokio::select! {
            told = signals.next() => told,
            () = house.thread_left() => return Ending::Broken,
            _ = lists.tick() => {
                drop(house.look_at_lists());
                continue;
            }
        };
        match told {
            Told::Reload => house.reload(folder),
            Told::Stop => break,
        }
    }
    notify::tell("STOPPING=1");
    house.drain();
    let how = tokio::select! {
        biased;
        () = signals.stop() => Stopping::Told,
        how = house.drained() => how,
    };
    house.events().emit(Stopped { how });
    match how {
        Stopping::Drained | Stopping::TimeOver => {
            house.close();
            Ending::Drained
        }
        Stopping::Told => Ending::Told,
    }
}

/// What a panic says can quote what it was working on. So only where it happened is told.
fn quiet_panics(events: &Events) {
    let events = events.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location();
        events.emit(PanicMet {
            file: place.map_or("", std::panic::Location::file),
            line: place.map_or(0, std::panic::Location::line),
        });
    }));
}
