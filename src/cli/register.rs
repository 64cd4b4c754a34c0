//! `sluis register`: what is done by hand to the register of identifiers that were let out.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Cursor, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::out::{Exit, Format, Out};
use super::pick::{check_reason, no_such};
use super::{Common, problems, seal_process, serve};
use crate::app::{Failure, open_register, store_place, unopened};
use crate::clock::{Calendar, Clock};
use crate::config::{self, Config, RegisterPlace};
use crate::names::SchoolId;
use crate::pseudonym::{Back, Canonical, Form, Identifier};
use crate::store::{self, Imported, Store, Verified, Wanted};

const DAY_S: u64 = 86_400;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Lines of a roster that are named; the rest is counted.
const LINES_SHOWN_MAX: usize = 20;

/// Make, fill, verify and export the register: which identifiers have been let out
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write every identifier of a school to a CSV file: personal data
    Export(Export),
    /// Add the identifiers of a roster in CSV, so that what names them comes home from the start
    Import(Import),
    /// Make what the register needs: in PostgreSQL a table, for a file nothing
    Init(Common),
    /// Open every row and say whether each can be read; change nothing
    Verify(Common),
}

#[derive(Args, Debug)]
struct Export {
    /// The file to make; - is standard output
    file: PathBuf,
    /// Why: the event that is written has it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The school, if there are several
    #[arg(long, value_name = "SCHOOL")]
    school: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
struct Import {
    /// A CSV file, with commas or semicolons, whose first line names the columns
    file: PathBuf,
    /// The kind of identifier: the name in [ids.NAME]
    #[arg(long, value_name = "KIND")]
    kind: String,
    /// The column with the identifiers, in OneRoster's users.csv sourcedId
    #[arg(long, value_name = "NAME", default_value = "sourcedId")]
    column: String,
    /// The school, if there are several
    #[arg(long, value_name = "SCHOOL")]
    school: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    seal_process();
    let done = match &options.action {
        Action::Export(options) => export(options, out),
        Action::Import(options) => import(options, out),
        Action::Init(common) => init(common, out),
        Action::Verify(common) => verify(common, out),
    };
    done.unwrap_or_else(|exit| exit)
}

fn init(common: &Common, out: &mut Out) -> Result<Exit, Exit> {
    let place = config::find(common.config.as_deref())
        .and_then(|folder| config::register_place(&folder))
        .map_err(|wrong| problems(&wrong, common.format, out))?;
    let store = store_place(&place).map_err(|failure| failed(&failure, out))?;
    store::init(&store).map_err(|fault| failed(&unopened(&place)(fault), out))?;
    let (kind, words) = match place {
        RegisterPlace::File(_) => (
            "redb",
            "a register in a file needs nothing: it is made when it is opened",
        ),
        RegisterPlace::Postgres(_) => ("postgres", "the register has its table"),
    };
    match common.format {
        Format::Json => out.json(&json!({ "store": kind, "ready": true })),
        Format::Text => out.say(words),
    }
    Ok(Exit::Fine)
}

fn verify(common: &Common, out: &mut Out) -> Result<Exit, Exit> {
    let config = loaded(common, out)?;
    let place = store_place(&config.register.place).map_err(|it| failed(&it, out))?;
    let keys = config.register.keys.iter();
    let keys = keys.map(|(school, key)| (school.clone(), std::sync::Arc::clone(key)));
    let verified = store::verify(&place, keys, &Clock::system())
        .map_err(|fault| failed(&unopened(&config.register.place)(fault), out))?;
    match common.format {
        Format::Json => out.json(&json!({
            "rows": verified.rows,
            "damaged": verified.damaged,
            "damaged_first": verified.damaged_first,
            "unkeyed": verified.unkeyed,
        })),
        Format::Text => {
            out.say(&format!(
                "{}, {} of schools without a key here",
                counted(verified.rows, "row", "rows"),
                verified.unkeyed
            ));
            out.say(&opening(&verified));
        }
    }
    Ok(match verified.damaged {
        0 => Exit::Fine,
        _ => Exit::Failed,
    })
}

/// Whether its rows open, in words.
fn opening(verified: &Verified) -> String {
    let mut numbers = verified.damaged_first.iter().map(u64::to_string);
    match (
        verified.damaged,
        verified.rows.saturating_sub(verified.unkeyed),
    ) {
        (0, 0) => "no row to open".to_owned(),
        (0, 1) => "it opens".to_owned(),
        (0, _) => "all with a key here open".to_owned(),
        (1, _) => format!(
            "1 does not open: it was sealed under another key, or changed; it has the number {}",
            numbers.next().unwrap_or_default()
        ),
        (damaged, _) => format!(
            "{damaged} do not open: they were sealed under another key, or changed; \
             the first have the numbers {}",
            numbers.collect::<Vec<_>>().join(" ")
        ),
    }
}

/// `1 row`, `2 rows`.
fn counted(count: u64, one: &str, many: &str) -> String {
    let noun = match count {
        1 => one,
        _ => many,
    };
    format!("{count} {noun}")
}

fn import(options: &Import, out: &mut Out) -> Result<Exit, Exit> {
    let config = loaded(&options.common, out)?;
    let school = school(&config, options.school.as_deref()).map_err(|why| usage(&why, out))?;
    let canonical = kind(&config, school, &options.kind).map_err(|why| usage(&why, out))?;
    let roster = File::open(&options.file).and_then(|file| roster(file, &options.column));
    let roster = roster.map_err(|error| {
        out.tell(&format!("the roster cannot be read: {error}"));
        Exit::Input
    })?;
    let Some((mut reader, column)) = roster else {
        out.tell("its first line names no such column: --column NAME");
        return Err(Exit::Input);
    };
    let store = opened(&config, out)?;
    let bad = RefCell::new(Vec::new());
    let rows = reader.byte_records().filter_map(|record| {
        let line = |position: Option<&csv::Position>| position.map_or(0, csv::Position::line);
        let id = match &record {
            // What is not UTF-8 is no identifier, as an empty one is none; other columns may be.
            Ok(record) => {
                str::from_utf8(record.get(column).unwrap_or_default()).unwrap_or_default()
            }
            Err(error) => {
                bad.borrow_mut().push(line(error.position()));
                return None;
            }
        };
        if canonical.form(Identifier::new(id)).is_err() {
            let position = record.as_ref().ok().and_then(csv::ByteRecord::position);
            bad.borrow_mut().push(line(position));
            return None;
        }
        Some((Form::Text, id.to_owned()))
    });
    let told = RefCell::new(Out::default());
    let progress = |so_far: Imported| {
        if rustix::termios::isatty(io::stderr()) {
            told.borrow_mut().tell(&counted(so_far.rows, "row", "rows"));
        }
    };
    let imported = store
        .import(school, (&options.kind, canonical.clone()), rows, progress)
        .map_err(|_fault| {
            out.tell("the register cannot be written; run the import again: it goes on from there");
            Exit::Unavailable
        })?;
    Ok(say_imported(
        imported,
        &bad.into_inner(),
        options.common.format,
        out,
    ))
}

/// A reader of CSV, and the place of the column of that name; none if the first line has no such
/// column. Commas stand between columns, or semicolons: so Excel writes where numbers have a
/// comma, as in Dutch.
fn roster(from: impl Read, name: &str) -> io::Result<Option<(csv::Reader<impl Read>, usize)>> {
    let mut from = BufReader::new(from);
    let mut first = Vec::new();
    from.read_until(b'\n', &mut first)?;
    let found = [b',', b';'].into_iter().find_map(|delimiter| {
        let mut csv = csv::ReaderBuilder::new();
        csv.delimiter(delimiter);
        let column = column(csv.from_reader(&*first), name)?;
        Some((csv, column))
    });
    Ok(found.map(|(csv, column)| (csv.from_reader(Cursor::new(first).chain(from)), column)))
}

fn column(mut csv: csv::Reader<&[u8]>, name: &str) -> Option<usize> {
    let mut headers = csv.byte_headers().ok()?.iter();
    headers.position(|header| {
        let header = header.strip_prefix(BYTE_ORDER_MARK).unwrap_or(header);
        header == name.as_bytes()
    })
}

fn say_imported(imported: Imported, bad: &[u64], format: Format, out: &mut Out) -> Exit {
    let shown = bad.iter().take(LINES_SHOWN_MAX);
    match format {
        Format::Json => out.json(&json!({
            "rows": imported.rows,
            "new": imported.added,
            "refused": bad.len(),
            "refused_lines": shown.collect::<Vec<_>>(),
        })),
        Format::Text => {
            out.say(&format!(
                "{} read, {} of them new",
                counted(imported.rows, "identifier", "identifiers"),
                imported.added
            ));
            let shown: Vec<String> = shown.map(u64::to_string).collect();
            match bad {
                [] => {}
                [line] => out.tell(&format!(
                    "1 row has no identifier that can be used; it is on line {line}"
                )),
                _ => out.tell(&format!(
                    "{} rows have no identifier that can be used; the first are on the lines {}",
                    bad.len(),
                    shown.join(" ")
                )),
            }
        }
    }
    match bad {
        [] => Exit::Fine,
        _ => Exit::Input,
    }
}

fn export(options: &Export, out: &mut Out) -> Result<Exit, Exit> {
    check_reason(&options.reason).map_err(|why| usage(&why, out))?;
    let config = loaded(&options.common, out)?;
    let school = school(&config, options.school.as_deref()).map_err(|why| usage(&why, out))?;
    let store = opened(&config, out)?;
    out.tell("this is personal data: keep it where only those can read it who must");
    let event = json!({
        "event": "register_exported",
        "school": school.as_str(),
        "reason": options.reason,
    });
    out.tell(&event.to_string());
    let written = if options.file.as_os_str() == "-" {
        write_csv(&store, school, io::stdout().lock())
    } else {
        let mut new = OpenOptions::new();
        new.write(true).create_new(true).mode(0o600);
        let file = new.open(&options.file);
        file.and_then(|file| {
            write_csv(&store, school, &file)?;
            file.sync_all()
        })
    };
    written.map_err(|error| {
        out.tell(&format!("the export cannot be written: {error}"));
        Exit::Io
    })?;
    Ok(Exit::Fine)
}

fn write_csv(store: &Store, school: &SchoolId, to: impl Write) -> io::Result<()> {
    let (mut csv, calendar) = (csv::Writer::from_writer(to), Calendar::default());
    csv.write_record(["kind", "firstSeen", "identifier"])?;
    store.export(school, |row| {
        let day = calendar
            .day(u64::from(row.day).saturating_mul(DAY_S))
            .to_string();
        // Shown: this is what the export is for.
        csv.write_record([row.kind, &day, row.id.text()])
    })?;
    csv.flush()
}

fn loaded(common: &Common, out: &mut Out) -> Result<Config, Exit> {
    let loaded = config::find(common.config.as_deref()).and_then(|folder| config::load(&folder));
    let (config, _) = loaded.map_err(|wrong| problems(&wrong, common.format, out))?;
    Ok(config)
}

fn opened(config: &Config, out: &mut Out) -> Result<std::sync::Arc<Store>, Exit> {
    let opened =
        open_register(Wanted::Whole, config, &Clock::system()).map_err(|it| failed(&it, out))?;
    opened.ok_or_else(|| usage("no id of this configuration has a way back", out))
}

/// The school of that name, or the only one whose ids have a way back.
fn school<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c SchoolId, String> {
    let all = || config.register.keys.iter().map(|(school, _)| school);
    let found = match name {
        Some(name) => all().find(|school| school.as_str() == name),
        None => all().next().filter(|_| all().count() == 1),
    };
    found.ok_or_else(|| match name {
        Some(name) => no_such("school with a register", name, all().map(SchoolId::as_str)),
        None => "say which school: --school SCHOOL".to_owned(),
    })
}

/// How identifiers of a kind of that school are compared.
fn kind<'c>(config: &'c Config, school: &SchoolId, name: &str) -> Result<&'c Canonical, String> {
    let vendors = config
        .vendors
        .iter()
        .filter(|vendor| vendor.school == *school);
    let kinds = vendors.flat_map(|vendor| vendor.law.kinds().iter().map(|kind| kind.spec()));
    let kinds: Vec<_> = kinds.filter(|spec| spec.back == Back::SchoolOnly).collect();
    let found = kinds.iter().find(|spec| spec.name == name);
    let known = kinds.iter().map(|spec| spec.name.as_str());
    found
        .map(|spec| &spec.canonical)
        .ok_or_else(|| no_such("id kind with a way back", name, known))
}

fn usage(why: &str, out: &mut Out) -> Exit {
    out.tell(why);
    Exit::Usage
}

fn failed(failure: &Failure, out: &mut Out) -> Exit {
    out.tell(&failure.to_string());
    serve::exit(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The column of a roster, a line each.
    fn read(text: &[u8], name: &str) -> Option<Vec<String>> {
        let (mut csv, column) = roster(text, name).unwrap()?;
        let records = csv.byte_records().map(|it| it.unwrap());
        let ids = records.map(|it| String::from_utf8(it[column].to_vec()).unwrap());
        Some(ids.collect())
    }

    #[test]
    fn columns_of_a_roster_are_parted_by_commas_or_as_excel_does_in_dutch() {
        let both = Some(vec!["S-1".to_owned(), "S;2".to_owned()]);
        for text in [
            "sourcedId,naam\nS-1,Noor\nS;2,x\n",
            "naam;sourcedId\r\nNoor;S-1\r\nx;\"S;2\"\r\n",
            "\u{feff}sourcedId;\"naam, voluit\"\nS-1;Noor\n\"S;2\";x\n",
            "sourcedId\nS-1\nS;2",
        ] {
            assert_eq!(read(text.as_bytes(), "sourcedId"), both, "{text}");
        }
        for text in ["", "\n", "a,b\n1,2\n", "a;b\n", "sourcedid\n"] {
            assert_eq!(read(text.as_bytes(), "sourcedId"), None, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_no_matter_to_the_identifier_beside_it() {
        // Windows-1252, as Excel writes CSV unless it is asked for UTF-8.
        let text = b"sourcedId;roepnaam;priv\xe9\nS-1;Zo\xeb;x\n";
        assert_eq!(read(text, "sourcedId").unwrap(), ["S-1"]);
    }
}
