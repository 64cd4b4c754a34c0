//! Settings of the process itself.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Allows as many open files as the operating system grants: every connection is two.
///
/// Where it grants no more, what there was is what there is.
pub(super) fn allow_files() {
    let files = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, most).unwrap_or_default();
}
