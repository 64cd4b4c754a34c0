//! All files of a configuration, read and compared with each other; the keys are left alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;

use super::bases;
use super::calling;
use super::code;
use super::cores::on_all_cores;
use super::folder::{Folder, SchoolFolder};
use super::gateway::Gateway;
use super::guarded::folder_of;
use super::hidden;
use super::language::{Context, FlowDraft, Presets, Remains, VendorDraft, vendor_or_remains};
use super::objections::Lists;
use super::problem::{Place, Problem, Problems, shown};
use super::school::School;
use super::source::SourceFile;
use super::{TOKEN_PATH, Upstream, Validity};
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::Back;

/// How long before its end an agreement is spoken of.
const DAYS_BEFORE_END: i32 = 30;

/// A configuration as far as it is known without its keys.
#[derive(Debug)]
pub struct Draft {
    pub(super) folder: PathBuf,
    pub(super) gateway: Option<Gateway>,
    /// Every school, sorted by name.
    pub schools: Vec<SchoolDraft>,
}

/// A school as far as it is known without its keys.
#[derive(Debug)]
pub struct SchoolDraft {
    /// Its name: its folder.
    pub id: SchoolId,
    /// What its file says; `None` if that cannot be used.
    pub school: Option<School>,
    /// Its vendors, sorted by name.
    pub vendors: Vec<VendorFile>,
}

/// The file of a vendor and what it says.
#[derive(Debug)]
pub struct VendorFile {
    /// Its name: that of the file.
    pub id: VendorId,
    /// The text of the file.
    pub file: Arc<SourceFile>,
    /// The folder that the file is in.
    pub(super) folder: PathBuf,
    /// What it says; `None` if that cannot be used.
    pub draft: Option<VendorDraft>,
    /// What could be read of it if it cannot be used.
    pub(super) remains: Remains,
    /// Its lists of `[except]`.
    pub lists: Arc<Lists>,
}

impl Draft {
    /// Reads all files of a configuration.
    pub fn read(folder: &Path, problems: &mut Problems) -> Self {
        Self::of_folder(folder, Folder::read(folder, problems), problems)
    }

    /// Takes texts for the files of a configuration; each comes with the path that it would have
    /// below the folder, and names other files from there.
    pub fn of_texts(texts: &[(&str, String)], problems: &mut Problems) -> Self {
        let files = Folder::of_texts(texts, problems);
        Self::of_folder(Path::new(""), files, problems)
    }

    fn of_folder(folder: &Path, files: Folder, problems: &mut Problems) -> Self {
        let gateway = files.gateway.as_ref();
        let gateway = gateway.and_then(|file| Gateway::read(file, folder, problems));
        let presets = Presets::shipped();
        let schools = on_all_cores(files.schools, problems, |school, problems| {
            SchoolDraft::read(school, &presets, problems)
        });
        let draft = Self {
            folder: folder.to_owned(),
            gateway,
            schools,
        };
        draft.check_doors(problems);
        if draft.vendors().next().is_none() && !problems.has_errors() {
            let message = "no vendor is configured: every request is answered 404";
            let help = format!("{}/schools/SCHOOL/vendors/VENDOR.toml", folder.display());
            problems.push(Problem::finding(code::NO_VENDOR, message).help(help));
        }
        draft
    }

    /// Every vendor with its school.
    pub fn vendors(&self) -> impl Iterator<Item = (&SchoolDraft, &VendorFile)> {
        let schools = self.schools.iter();
        schools.flat_map(|school| school.vendors.iter().map(move |vendor| (school, vendor)))
    }

    /// The file of the register, if it is kept in one and an id of the vendors has a way back.
    #[must_use]
    pub fn register_file(&self) -> Option<&Path> {
        let drafts = self.vendors().filter_map(|(_, file)| file.draft.as_ref());
        let mut kinds = drafts.flat_map(|draft| draft.kind_specs.iter());
        let is_needed = kinds.any(|kind| kind.back == Back::SchoolOnly);
        let file = self.gateway.as_ref()?.keys.register.as_deref();
        file.filter(|_| is_needed)
    }

    /// Says which agreements are not in force on a day, and which will soon not be.
    pub fn find_ending(&self, today: Date, problems: &mut Problems) {
        for (_, vendor) in self.vendors() {
            let Some(draft) = &vendor.draft else {
                continue;
            };
            let Validity { from, until } = draft.valid;
            let days = until.since(today).map_or(i32::MAX, |span| span.get_days());
            let message = match days {
                _ if today < from => format!("the agreement begins on {from}"),
                ..0 => format!("the agreement ended on {until}"),
                0 => "the agreement ends today".to_owned(),
                1..=DAYS_BEFORE_END => format!("the agreement ends in {days} days"),
                _ => continue,
            };
            problems.push(
                Problem::finding(code::AGREEMENT, message)
                    .at(&draft.until_at)
                    .label("outside its days every request is answered 403"),
            );
        }
    }

    /// Says which lists of objections are too old at a time.
    pub fn find_old_lists(&self, unix_s: u64, problems: &mut Problems) {
        for (_, vendor) in self.vendors() {
            vendor.lists.find_old(unix_s, problems);
        }
    }

    /// Looks at what no file can know alone: who shares a place, who may listen, who calls itself.
    fn check_doors(&self, problems: &mut Problems) {
        let mut taken: BTreeMap<(String, String), Place> = BTreeMap::new();
        let own = self.own_places();
        for (school, flow) in self.flows() {
            calling::check_anyone(self.gateway.as_ref(), school, flow, problems);
            self.check_certificates(flow, problems);
            check_upstream(flow, &own, problems);
            let place = (school.host(), school.prefix(flow));
            if let Some(other) = taken.get(&place) {
                problems.push(shared(&place, flow, other));
            } else {
                taken.insert(place, flow.at.place.clone());
            }
        }
        calling::find_shared(self, problems);
        hidden::find_hidden(self, problems);
        let issuing = { self.flows() }.filter(|(_, flow)| !flow.callers.value.clients().is_empty());
        for (school, flow) in issuing {
            for hidden in hiding_places(school, flow) {
                let over = taken.get(&hidden).map(|over| token_path_taken(flow, over));
                problems.extend(over);
            }
        }
    }

    /// Every flow that could be read, with its school; also of files with errors elsewhere.
    fn flows(&self) -> impl Iterator<Item = (&School, &FlowDraft)> {
        let flows = self.flows_of_all();
        flows.filter_map(|(school, _, flow)| Some((school.school.as_ref()?, flow)))
    }

    /// The same, also of schools whose own file cannot be used, with the vendor.
    pub(super) fn flows_of_all(
        &self,
    ) -> impl Iterator<Item = (&SchoolDraft, &VendorId, &FlowDraft)> {
        self.vendors().flat_map(|(school, vendor)| {
            let draft = vendor.draft.as_ref();
            let flows = draft.map_or(&vendor.remains.flows, |draft| &draft.flows);
            flows.iter().map(move |flow| (school, &vendor.id, flow))
        })
    }

    /// Callers are asked for a certificate only where it can be checked.
    fn check_certificates(&self, flow: &FlowDraft, problems: &mut Problems) {
        let Some(gateway) = &self.gateway else {
            return;
        };
        let tls = gateway.listen.tls.as_ref();
        let asked = tls.is_some_and(|tls| tls.client_ca.is_some());
        if flow.callers.value.show_certificates() && !asked {
            let message = "no caller is asked for a certificate";
            let help =
                "[listen] tls = { …, client-ca = \"tls/clients.pem\" }: who vouches for them";
            let problem = Problem::error(code::CONFLICT, message).at(&flow.callers.place);
            problems.push(problem.help(help));
        }
    }

    /// Everything that is this gateway itself: its listeners, and what callers are told to call.
    fn own_places(&self) -> Vec<OwnPlace> {
        let listeners = self
            .gateway
            .iter()
            .flat_map(|it| [it.listen.address, it.admin]);
        let mut own: Vec<_> = listeners.flat_map(names_of).collect();
        own.extend(self.flows().map(|(school, flow)| OwnPlace {
            host: school.public.host.clone(),
            port: school.public.port,
            prefix: school.prefix(flow),
        }));
        own
    }
}

/// A place where this gateway answers.
#[derive(Debug)]
struct OwnPlace {
    host: String,
    port: u16,
    prefix: String,
}

impl OwnPlace {
    fn holds(&self, upstream: &Upstream) -> bool {
        let below = upstream.base.strip_prefix(self.prefix.as_str());
        self.host == upstream.host
            && self.port == upstream.port
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl SchoolDraft {
    fn read(files: SchoolFolder, presets: &Presets, problems: &mut Problems) -> Self {
        let school = files.school.as_ref();
        let school = school.and_then(|file| School::read(file, problems));
        let context = school
            .as_ref()
            .map_or_else(Context::default, |school| Context {
                pupils: school.pupils,
            });
        let folder = files.path.join("vendors");
        let vendors = files.vendors.into_iter().map(|(id, file)| {
            let read = vendor_or_remains(&file, &id, presets, &context, problems);
            let (mut draft, remains) = match read {
                Ok(draft) => (Some(draft), Remains::default()),
                Err(remains) => (None, remains),
            };
            if let (Some(draft), Some(school)) = (&mut draft, &school) {
                draft.policy.bases = bases::of(school, &draft.flows);
            }
            let (objections, specs) = draft
                .as_ref()
                .map_or((&*remains.objections, &*remains.kind_specs), |draft| {
                    (&*draft.objections, &*draft.kind_specs)
                });
            let lists = Lists::read(objections, specs, &folder_of(&folder), problems);
            VendorFile {
                draft,
                remains,
                lists: Arc::new(lists),
                folder: folder.clone(),
                id,
                file,
            }
        });
        Self {
            vendors: vendors.collect(),
            id: files.id,
            school,
        }
    }
}

impl School {
    /// What `Host` must say.
    pub(super) fn host(&self) -> String {
        self.public.authority()
    }

    /// The path under which a flow is reached.
    pub(super) fn prefix(&self, flow: &FlowDraft) -> String {
        format!("{}{}", self.public.path, flow.at.value)
    }
}

fn shared((host, prefix): &(String, String), flow: &FlowDraft, other: &Place) -> Problem {
    let path = if prefix.is_empty() { "/" } else { prefix };
    let message = format!(
        "two flows cannot both be reached under {}",
        shown(&format!("{host}{path}"))
    );
    Problem::error(code::CONFLICT, message)
        .at(&flow.at.place)
        .label("one of them")
        .also(other, "the other one")
        .help("give one of them a path of its own: at = \"/…\"")
}

/// The places at which another flow would be reached where this one's tokens are fetched.
fn hiding_places(school: &School, flow: &FlowDraft) -> [(String, String); 2] {
    let whole = format!("{}{TOKEN_PATH}", school.prefix(flow));
    let half = whole
        .rsplit_once('/')
        .map_or("", |(half, _)| half)
        .to_owned();
    [half, whole].map(|prefix| (school.host(), prefix))
}

fn token_path_taken(flow: &FlowDraft, over: &Place) -> Problem {
    let message = format!(
        "another flow fetches its tokens under {}",
        shown(&format!("{}{TOKEN_PATH}", flow.at.value))
    );
    Problem::error(code::CONFLICT, message)
        .at(over)
        .also(&flow.callers.place, "`oauth2` callers")
        .help("give one of them a path of its own: at = \"/…\"")
}

fn check_upstream(flow: &FlowDraft, own: &[OwnPlace], problems: &mut Problems) {
    if own.iter().any(|place| place.holds(&flow.upstream.value)) {
        let message = "this upstream is the gateway itself";
        problems.push(
            Problem::error(code::CONFLICT, message)
                .at(&flow.upstream.place)
                .label("a request would come back here until no connection is left"),
        );
    }
}

/// The hosts under which a listener is reached from this machine.
fn names_of(address: SocketAddr) -> Vec<OwnPlace> {
    let (ip, port) = (address.ip(), address.port());
    let mut hosts = vec![ip.to_string()];
    if ip.is_loopback() || ip.is_unspecified() {
        hosts.push("localhost".to_owned());
    }
    if ip.is_unspecified() {
        hosts.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    }
    let place = |host| OwnPlace {
        host,
        port,
        prefix: String::new(),
    };
    hosts.into_iter().map(place).collect()
}
