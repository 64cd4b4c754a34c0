//! Builds the house from a configuration, and runs it until it is told to stop.
//!
//! Every thread of the data plane has a runtime, a listener and upstream connections of its own;
//! what they share is the configuration, the limits and the events. Operators are answered by a
//! thread beside them, and the first thread of the process waits for signals.

mod certificates;
mod doors;
mod failure;
mod house;
mod lists;
mod notify;
mod process;
mod pulse;
mod register;
mod signals;

pub use failure::Failure;
pub use house::House;
pub use register::{open_register, store_place, unopened};

use std::path::Path;

use crate::clock::Clock;
use crate::config;
use crate::events::{Events, PanicMet, Sink, Started, Stopped, Stopping};
use crate::limits;
use doors::Doors;
use notify::{News, Watchdog};
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
    // Before there is a second thread.
    let handed = config::handed_over().map_err(Failure::Handed)?;
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
    let doors = Doors::open(&config, threads, handed)?;
    let house = House::behind(doors, config, events, clock)?;
    notify::tell(News::Ready, house.clock());
    Ok(runtime.block_on(until_told(folder, house, signals)))
}

/// Waits for signals and does what they say.
async fn until_told(folder: &Path, mut house: House, mut signals: Signals) -> Ending {
    // They have just been read: what they were then is compared with what they are later.
    let mut files = tokio::time::interval(limits::OBJECTIONS_LOOK);
    files.reset();
    let (pulse, clock) = (house.pulse(), house.clock().clone());
    let mut watchdog = Watchdog::new(config::watchdog(), pulse, clock);
    let told = loop {
        tokio::select! {
            told = signals.next() => match told {
                Told::Reload => {
                    notify::tell(News::Reloading, house.clock());
                    house.reload(folder);
                    notify::tell(News::Ready, house.clock());
                }
                Told::Leave | Told::Stop => break told,
            },
            () = house.thread_left() => return Ending::Broken,
            _ = files.tick() => {
                drop(house.look_at_lists());
                house.look_at_certificates();
            }
            () = watchdog.feed() => {}
        }
    };
    notify::tell(News::Stopping, house.clock());
    let how = tokio::select! {
        biased;
        () = signals.stop() => Stopping::Told,
        how = until_drained(&mut house, told) => how,
        () = async { loop { watchdog.feed().await } } => Stopping::Told,
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

/// Says that it is going, if there is somebody to hear it, and lets requests under way finish.
async fn until_drained(house: &mut House, told: Told) -> Stopping {
    match told {
        Told::Leave => {
            house.leave();
            tokio::time::sleep(house.leave_time()).await;
        }
        Told::Reload | Told::Stop => {}
    }
    house.drain();
    house.drained().await
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

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;
    use crate::config::{LogFormat, LogLevel};
    use crate::events::tests::voice;

    #[test]
    fn of_a_panic_only_the_place_is_told() {
        let (events, sink, _) = voice(LogFormat::Json, LogLevel::Info);
        quiet_panics(&events);
        let line = line!() + 1;
        let met = panic::catch_unwind(|| panic!("of Noor-zzq"));
        drop(panic::take_hook());
        assert!(met.is_err());
        let log = String::from_utf8(sink.bytes()).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        let said: serde_json::Value = serde_json::from_str(&log).unwrap();
        assert_eq!(said["code.file.path"], file!(), "{log}");
        assert_eq!(said["code.line.number"], line, "{log}");
        let page = events.metrics_page();
        assert!(page.contains("\nsluis_panics_total 1\n"), "{page}");
        for place in [log, page] {
            assert!(!place.contains("zzq"), "{place}");
        }
    }

    #[test]
    fn panics_are_quiet_from_the_first_event_on() {
        let (code, _) = include_str!("mod.rs").split_once("#[cfg(test)]").unwrap();
        let set = code.find("\n    quiet_panics(&events);\n");
        let first = code.find("\n    events.emit(Started");
        assert!(set.is_some() && set < first, "{set:?} {first:?}");
    }
}
