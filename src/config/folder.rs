//! Which files make up a configuration: `sluis.toml`, `schools/*/school.toml` and
//! `schools/*/vendors/*.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::code;
use super::guarded::folder_of;
use super::problem::{Problem, Problems, nearest, shown};
use super::source::SourceFile;
use crate::names::{SchoolId, VendorId};

/// Where the configuration is if nobody says.
const FOLDERS_DEFAULT: [&str; 2] = ["config", "/etc/sluis"];
const GATEWAY_FILE: &str = "sluis.toml";
const SCHOOLS: &str = "schools";
const SCHOOL_FILE: &str = "school.toml";
const VENDORS: &str = "vendors";
const SCHOOL_HELP: &str = "it says whose pupils these are: version = 1, and under [school] \
                           `name`, `public` and `contact`";
const FOLDER_HELP: &str = "--config DIR names the folder that has it";

/// The folder of the configuration: the one that is given, by itself or by its `sluis.toml`; else
/// `config`, else `/etc/sluis`.
///
/// # Errors
/// Neither of the two has a `sluis.toml`.
pub fn find(given: Option<&Path>) -> Result<PathBuf, Problems> {
    let mut places = FOLDERS_DEFAULT.iter().map(PathBuf::from);
    let found = match given {
        Some(file) if file.ends_with(GATEWAY_FILE) && file.is_file() => Some(folder_of(file)),
        Some(folder) => Some(folder.to_owned()),
        None => places.find(|folder| folder.join(GATEWAY_FILE).exists()),
    };
    found.ok_or_else(|| {
        let [near, far] = FOLDERS_DEFAULT;
        let message = format!("neither {near}/{GATEWAY_FILE} nor {far}/{GATEWAY_FILE} is there");
        let mut problems = Problems::new();
        problems.push(Problem::error(code::FILE, message).help(FOLDER_HELP));
        problems
    })
}

/// The files of one configuration, read and not yet understood.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) gateway: Option<Arc<SourceFile>>,
    /// Sorted by name.
    pub(super) schools: Vec<SchoolFolder>,
}

/// The files of one school.
#[derive(Debug)]
pub(super) struct SchoolFolder {
    pub(super) id: SchoolId,
    pub(super) path: PathBuf,
    pub(super) school: Option<Arc<SourceFile>>,
    /// Sorted by name.
    pub(super) vendors: Vec<(VendorId, Arc<SourceFile>)>,
}

impl Folder {
    /// Reads all files.
    pub(super) fn read(folder: &Path, problems: &mut Problems) -> Self {
        let gateway = Self::gateway(folder, problems);
        find_mistyped(folder, &[GATEWAY_FILE, SCHOOLS], problems);
        let schools = folder.join(SCHOOLS);
        let folders = if schools.is_dir() {
            entries(&schools, problems)
        } else {
            Vec::new()
        };
        let folders = folders.into_iter().filter(|(_, path)| path.is_dir());
        let schools = folders.filter_map(|(name, path)| school(&name, path, problems));
        Self {
            gateway,
            schools: schools.collect(),
        }
    }

    /// Takes texts for files; each comes with the path that it would have below the folder.
    pub(super) fn of_texts(texts: &[(&str, String)], problems: &mut Problems) -> Self {
        let mut folder = Self {
            gateway: None,
            schools: Vec::new(),
        };
        for (path, text) in texts {
            let file = SourceFile::new(*path, text.clone());
            let parts: Vec<&str> = path.split('/').collect();
            match *parts.as_slice() {
                [GATEWAY_FILE] => folder.gateway = Some(file),
                ["schools", school, SCHOOL_FILE] => {
                    let school = folder.school(school);
                    school
                        .into_iter()
                        .for_each(|it| it.school = Some(Arc::clone(&file)));
                }
                ["schools", school, "vendors", name] => {
                    let vendor = name.strip_suffix(".toml").and_then(VendorId::parse);
                    let place = vendor.zip(folder.school(school));
                    place
                        .into_iter()
                        .for_each(|(id, it)| it.vendors.push((id, Arc::clone(&file))));
                }
                _ => problems.push(bad_name("a file here", Path::new(path))),
            }
        }
        folder
    }

    /// The school of that name, which is made if it is not there yet.
    fn school(&mut self, name: &str) -> Option<&mut SchoolFolder> {
        let id = SchoolId::parse(name)?;
        let known = self.schools.iter().position(|school| school.id == id);
        let place = known.unwrap_or(self.schools.len());
        if known.is_none() {
            self.schools.push(SchoolFolder {
                id,
                path: Path::new("schools").join(name),
                school: None,
                vendors: Vec::new(),
            });
        }
        self.schools.get_mut(place)
    }

    /// Reads `sluis.toml` alone.
    pub(super) fn gateway(folder: &Path, problems: &mut Problems) -> Option<Arc<SourceFile>> {
        let path = folder.join(GATEWAY_FILE);
        if path.is_file() {
            return read(&path, problems);
        }
        let mut wrong = Problems::new();
        let read = read(&path, &mut wrong);
        wrong.help_the_helpless(|_| FOLDER_HELP);
        problems.append(wrong);
        read
    }
}

fn school(name: &str, path: PathBuf, problems: &mut Problems) -> Option<SchoolFolder> {
    let Some(id) = SchoolId::parse(name) else {
        problems.push(bad_name("the folder of a school", &path));
        return None;
    };
    let mut wrong = Problems::new();
    let school = read(&path.join(SCHOOL_FILE), &mut wrong);
    wrong.help_the_helpless(|_| SCHOOL_HELP);
    problems.append(wrong);
    find_misplaced(&path, problems);
    find_mistyped(&path, &[VENDORS], problems);
    let vendors = path.join(VENDORS);
    let files = if vendors.is_dir() {
        entries(&vendors, problems)
    } else {
        Vec::new()
    };
    let vendors = files
        .into_iter()
        .filter_map(|(name, path)| vendor(&name, &path, problems));
    let vendors = vendors.collect();
    Some(SchoolFolder {
        id,
        path,
        school,
        vendors,
    })
}

fn vendor(name: &str, path: &Path, problems: &mut Problems) -> Option<(VendorId, Arc<SourceFile>)> {
    let Some(stem) = name.strip_suffix(".toml") else {
        find_unread(name, path, problems);
        return None;
    };
    let Some(id) = VendorId::parse(stem) else {
        problems.push(bad_name("the file of a vendor", path));
        return None;
    };
    Some((id, read(path, problems)?))
}

/// Secrets and folders may lie among the vendors' files; what looks like one of these and is not
/// read has been named wrong, or is a copy that nobody should take for the one in force.
fn find_unread(name: &str, path: &Path, problems: &mut Problems) {
    let (_, ending) = name.rsplit_once('.').unwrap_or_default();
    let is_like_one = names_toml(name) || nearest(ending, ["toml"]).is_some();
    if is_like_one && !path.is_dir() {
        problems.push(unread(path, "the file of a vendor ends with .toml"));
    }
}

/// What has nearly the name of something that is read, and is not that. Whatever else lies there
/// may be meant to: keys, secrets, notes.
fn find_mistyped(folder: &Path, names: &[&str], problems: &mut Problems) {
    if !folder.is_dir() {
        return;
    }
    // What is wrong with the names of others is theirs.
    for (name, path) in entries(folder, &mut Problems::new()) {
        let is_one = names.contains(&&*name);
        let copied = names
            .iter()
            .find(|it| it.contains('.') && name.starts_with(**it));
        let meant = copied
            .copied()
            .or_else(|| nearest(&name, names.iter().copied()));
        if let Some(meant) = meant.filter(|meant| !is_one && path.is_dir() != meant.contains('.')) {
            problems.push(unread(&path, &format!("only {} is", shown(meant))));
        }
    }
}

/// Beside `school.toml` nothing is read: a vendor's file that lies there is not in force.
fn find_misplaced(school: &Path, problems: &mut Problems) {
    for (name, path) in entries(school, problems) {
        if names_toml(&name) && name != SCHOOL_FILE && !path.is_dir() {
            problems.push(unread(&path, "the files of vendors stand in vendors/"));
        }
    }
}

/// Whether `.toml` stands in a name, however it goes on: `x.toml.bak`, `x.TOML`, `x.toml~`.
fn names_toml(name: &str) -> bool {
    name.to_ascii_lowercase().contains(".toml")
}

fn unread(path: &Path, help: &str) -> Problem {
    let message = format!("{} is not read", shown(&path.display().to_string()));
    Problem::finding(code::FILE_UNREAD, message).help(help)
}

fn bad_name(what: &str, path: &Path) -> Problem {
    let message = format!(
        "{} is not a name for {what}",
        shown(&path.display().to_string())
    );
    Problem::error(code::VALUE, message)
        .help("a name is 1 to 64 characters of a-z, 0-9 and -, and begins with a letter or digit")
}

fn read(path: &Path, problems: &mut Problems) -> Option<Arc<SourceFile>> {
    SourceFile::read(path, &path.display().to_string(), problems)
}

/// What is in a folder, sorted by name; names that begin with a dot are left out.
fn entries(folder: &Path, problems: &mut Problems) -> Vec<(String, PathBuf)> {
    let mut entries = Vec::new();
    let listed = fs::read_dir(folder).and_then(|list| {
        for entry in list {
            let path = entry?.path();
            match path.file_name().map(|name| name.to_str()) {
                Some(Some(name)) if name.starts_with('.') => {}
                Some(Some(name)) => entries.push((name.to_owned(), path)),
                Some(None) | None => problems.push(bad_name("a file here", &path)),
            }
        }
        Ok(())
    });
    if let Err(error) = listed {
        let message = format!(
            "{} cannot be read: {error}",
            shown(&folder.display().to_string())
        );
        problems.push(Problem::error(code::FILE, message));
    }
    entries.sort();
    entries
}
