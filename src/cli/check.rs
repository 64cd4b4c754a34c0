//! `sluis check`: every mistake of every file at once.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::out::{Exit, Out};
use super::{listed, seal_process};
use crate::app::unopened;
use crate::clock::{Calendar, Clock};
use crate::config::{
    self, Colour, Config, Draft, Flow, ListenTls, Problem, Problems, RegisterPlace, Scheme,
    UpstreamTls, VendorDraft, VendorFile, code,
};
use crate::store::{self, Fault};
use crate::tls::{Acceptor, Connector, Unusable};

/// How long before its end a certificate is spoken of: 30 days, in seconds.
const CERTIFICATE_LEFT_S: u64 = 30 * 24 * 3_600;
/// Shapes that are named on the line of a vendor; the others are counted.
const SHAPES_SHOWN_MAX: usize = 4;

/// Say every mistake of every file at once; nothing leaves this machine
///
/// What a policy needs and this machine lacks (keys, secrets, certificates) is no error: files are
/// reviewed elsewhere too. The last line then says that `serve` would not start here. Whether an
/// address is free and a register opens is left to `serve`, since a gateway may be running.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The folder of sluis.toml [default: ./config, then /etc/sluis]
    #[arg(long, value_name = "DIR")]
    config: Option<std::path::PathBuf>,
    /// Who reads the output
    #[arg(long, value_enum, default_value_t)]
    format: CheckFormat,
    /// End with 3 if there are findings
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    /// One line a problem, as GitHub and Forgejo show it beside the file
    Github,
    /// One JSON document
    Json,
    /// People
    #[default]
    Text,
}

/// What a check found.
#[derive(Debug, Default)]
struct Checked {
    vendors: Vec<Line>,
    problems: Problems,
    /// Keys, secrets and certificates that are not here. A policy can be checked where they are
    /// not, and must be: in a review, on a laptop.
    absent: Problems,
    hash: Option<String>,
}

/// What is said of one vendor.
#[derive(Debug)]
struct Line {
    school: String,
    vendor: String,
    file: String,
    flows: Vec<FlowLine>,
    shapes: Arc<[config::ShapeCount]>,
    /// The shapes of `[only]`, and what they are filtered by.
    only: Vec<(String, Vec<String>)>,
    /// The lists of `[except]`, and how many are on each.
    lists: Vec<(String, Option<usize>)>,
}

/// What is said of one flow.
#[derive(Debug)]
struct FlowLine {
    name: String,
    routes: usize,
    /// Where callers reach it; `None` if the school's file does not say.
    address: Option<String>,
}

pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    seal_process();
    let checked = check(options);
    match options.format {
        CheckFormat::Github if checked.problems.is_empty() => {}
        CheckFormat::Github => out.say(checked.problems.github().trim_end()),
        CheckFormat::Json => out.json(&checked.json()),
        CheckFormat::Text => checked.say(out),
    }
    match checked.problems.counts() {
        (1.., _) => Exit::Config,
        (0, 1..) if options.strict => Exit::Findings,
        (0, _) => Exit::Fine,
    }
}

fn check(options: &Options) -> Checked {
    let mut checked = Checked::default();
    let folder = match config::find(options.config.as_deref()) {
        Ok(folder) => folder,
        Err(problems) => {
            checked.problems = problems;
            return checked;
        }
    };
    let draft = Draft::read(&folder, &mut checked.problems);
    let lines = draft
        .vendors()
        .map(|(school, file)| Line::new(school.id.as_str(), file));
    checked.vendors = lines.collect();
    let now = Clock::system().unix_s();
    draft.find_old_lists(now, &mut checked.problems);
    draft.find_ending(Calendar::default().day(now), &mut checked.problems);
    if let Some(file) = draft.register_file() {
        check_register(file, &mut checked.problems);
    }
    if let Some(config) = draft.with_keys_of_files(&mut checked.problems) {
        check_tls(&config, now, &mut checked.problems);
        checked.hash = Some(config.hash.0);
    }
    checked.absent = checked.problems.take(code::ABSENT);
    checked
}

/// Looks at the file of the register without opening it: a gateway may be running.
fn check_register(file: &Path, problems: &mut Problems) {
    let Err(fault) = store::look(file) else {
        return;
    };
    // As with keys: this may be another machine than the gateway's.
    let is_absent = |cause: &io::Error| cause.kind() == ErrorKind::NotFound;
    let code = match matches!(&fault, Fault::File { cause, .. } if is_absent(cause)) {
        true => code::ABSENT,
        false => code::KEY_FILE,
    };
    let failure = unopened(&RegisterPlace::File(file.to_owned()))(fault);
    problems.push(Problem::error(code, failure.to_string()));
}

/// Reads certificates, keys and roots as `serve` would.
fn check_tls(config: &Config, now: u64, problems: &mut Problems) {
    if let Some(tls) = &config.listen.tls {
        match Acceptor::new(tls) {
            Ok(acceptor) => check_expiry(&acceptor, tls, now, problems),
            Err(fault) => problems.push(unusable(&fault)),
        }
    }
    let mut seen: Vec<&UpstreamTls> = Vec::new();
    let flows = config.vendors.iter().flat_map(|vendor| &vendor.flows);
    for upstream in flows.flat_map(Flow::called) {
        if let Scheme::Https(tls) = &upstream.scheme
            && !seen.contains(&tls)
        {
            seen.push(tls);
        }
    }
    let faults = seen.into_iter().filter_map(|tls| Connector::new(tls).err());
    problems.extend(faults.map(|fault| unusable(&fault)));
}

fn check_expiry(acceptor: &Acceptor, tls: &ListenTls, now: u64, problems: &mut Problems) {
    let Some(expires) = acceptor.expires_unix_s() else {
        return;
    };
    let words = match expires.checked_sub(now) {
        None | Some(0) => "expired",
        Some(..CERTIFICATE_LEFT_S) => "expires",
        Some(_) => return,
    };
    let (file, day) = (tls.cert.display(), Calendar::default().day(expires));
    let message = format!("the certificate {file} {words} on {day}");
    problems.push(Problem::finding(code::CERTIFICATE, message));
}

fn unusable(fault: &Unusable) -> Problem {
    let problem = Problem::error(code::TLS, fault.to_string());
    match fault.source() {
        Some(cause) => problem.help(cause.to_string()),
        None => problem,
    }
}

impl Checked {
    fn say(&self, out: &mut Out) {
        let width = self
            .vendors
            .iter()
            .map(|line| line.file.chars().count())
            .max();
        for line in &self.vendors {
            let state = counted(self.problems_of(line));
            let (file, width) = (&line.file, width.unwrap_or_default());
            out.say(format!("{file:width$}  {state}  {}", line.words()).trim_end());
        }
        if !self.problems.is_empty() {
            if !self.vendors.is_empty() {
                out.say("");
            }
            out.say(self.problems.text(Colour::On).trim_end());
            out.say("");
        }
        for problem in self.absent.sorted() {
            let help = problem
                .help
                .first()
                .map_or_else(String::new, |help| format!("; {help}"));
            let place = problem.place.as_ref().map(|place| {
                let (line, _) = place.line_and_column();
                format!(" ({}:{line})", place.file.shown())
            });
            let place = place.unwrap_or_default();
            out.say(&format!(
                "not on this machine: {}{place}{help}",
                problem.message
            ));
        }
        let vendors = number(self.vendors.len(), "vendor");
        let (errors, findings) = self.problems.counts();
        let problems = format!(
            "{}, {}",
            number(errors, "error"),
            number(findings, "finding")
        );
        let hash = self
            .hash
            .as_ref()
            .map_or_else(String::new, |hash| format!("   policy {hash}"));
        out.say(&format!("{vendors}, {problems}{hash}{}", self.lacking()));
    }

    /// Whether `serve` would start with these files on this machine, as far as a look can say.
    fn starts(&self) -> bool {
        self.problems.counts().0 == 0 && self.absent.is_empty()
    }

    /// Why `serve` would not start, if it is not for an error.
    fn lacking(&self) -> String {
        let absent = self.absent.sorted();
        match absent.as_slice() {
            _ if self.problems.has_errors() => String::new(),
            [] => String::new(),
            [one] => format!("; `serve` would not start here: {}", one.message),
            more => format!(
                "; `serve` would not start here: {} things are not on this machine",
                more.len()
            ),
        }
    }

    fn json(&self) -> Value {
        let (errors, findings) = self.problems.counts();
        let vendor = |line: &Line| {
            let (errors, findings) = self.problems_of(line);
            let shapes = line.shapes.iter().map(|shape| {
                (
                    shape.name.clone(),
                    json!({ "leaving": shape.leaving, "known": shape.known }),
                )
            });
            let only = line.only.iter();
            let only = only.map(|(shape, fields)| (shape.clone(), json!(fields)));
            let lists = line.lists.iter();
            let lists = lists.map(|(list, count)| (list.clone(), json!(count)));
            let routes = { line.flows.iter() }.map(|it| (it.name.clone(), json!(it.routes)));
            let addresses = { line.flows.iter() }.map(|it| (it.name.clone(), json!(it.address)));
            json!({
                "school": line.school,
                "vendor": line.vendor,
                "file": line.file,
                "errors": errors,
                "findings": findings,
                "addresses": Value::Object(addresses.collect()),
                "routes": Value::Object(routes.collect()),
                "shapes": Value::Object(shapes.collect()),
                "only": Value::Object(only.collect()),
                "objections": Value::Object(lists.collect()),
            })
        };
        json!({
            "errors": errors,
            "findings": findings,
            "problems": listed(&self.problems),
            "absent": listed(&self.absent),
            "starts": self.starts(),
            "policy": self.hash,
            "vendors": self.vendors.iter().map(vendor).collect::<Vec<_>>(),
        })
    }

    /// Errors and findings in the file of a vendor.
    fn problems_of(&self, line: &Line) -> (usize, usize) {
        let sorted = self.problems.sorted();
        let here = sorted
            .iter()
            .filter(|problem| problem.view().file == line.file);
        here.fold((0, 0), |(errors, findings), problem| {
            match problem.severity.refuses() {
                true => (errors.saturating_add(1), findings),
                false => (errors, findings.saturating_add(1)),
            }
        })
    }
}

impl Line {
    fn new(school: &str, file: &VendorFile) -> Self {
        let flows = |draft: &VendorDraft| -> Vec<FlowLine> {
            let flows = draft.policy.flows.iter().enumerate();
            flows
                .map(|(place, flow)| FlowLine {
                    name: flow.name.clone(),
                    routes: flow.routes.len(),
                    address: draft.address(place).map(str::to_owned),
                })
                .collect()
        };
        Self {
            school: school.to_owned(),
            vendor: file.id.as_str().to_owned(),
            file: file.file.shown().to_owned(),
            flows: file.draft.as_ref().map_or_else(Vec::new, flows),
            shapes: file
                .draft
                .as_ref()
                .map_or_else(Arc::default, |draft| Arc::clone(&draft.shapes)),
            only: file.draft.as_ref().map_or_else(Vec::new, filters),
            lists: { file.lists.counts().into_iter() }
                .map(|(list, count)| (list.to_owned(), count))
                .collect(),
        }
    }

    fn words(&self) -> String {
        let flow = |it: &FlowLine| {
            let at = it.address.as_ref().map(|address| format!(" at {address}"));
            let (name, routes) = (&it.name, number(it.routes, "route"));
            format!("{name}: {routes}{}", at.unwrap_or_default())
        };
        let mut words: Vec<String> = self.flows.iter().map(flow).collect();
        for (place, shape) in self.shapes.iter().take(SHAPES_SHOWN_MAX).enumerate() {
            let fields = if place == 0 { " fields" } else { "" };
            words.push(format!(
                "{} {} of {}{fields}",
                shape.name, shape.leaving, shape.known
            ));
        }
        match self.shapes.len().saturating_sub(SHAPES_SHOWN_MAX) {
            0 => {}
            more => words.push(number(more, "more shape")),
        }
        let only = self.only.iter();
        words.extend(only.map(|(shape, fields)| format!("only {shape} by {}", fields.join(", "))));
        let lists = self.lists.iter();
        words.extend(lists.map(|(list, count)| match count {
            Some(count) => format!("{count} objected ({list})"),
            None => format!("nobody knows who objected ({list})"),
        }));
        words.join(" · ")
    }
}

/// The shapes of which only some records are sent, and by what.
fn filters(draft: &VendorDraft) -> Vec<(String, Vec<String>)> {
    let mut filters: Vec<(String, Vec<String>)> = Vec::new();
    for only in &draft.policy.records.only {
        let Some(shape) = draft.policy.shape(only.shape) else {
            continue;
        };
        let path = only.path.join(".");
        match filters.iter_mut().find(|(name, _)| *name == shape.name) {
            Some((_, fields)) => fields.push(path),
            None => filters.push((shape.name.clone(), vec![path])),
        }
    }
    filters
}

/// `ok`, or how much there is to look at.
fn counted((errors, findings): (usize, usize)) -> String {
    match (errors, findings) {
        (0, 0) => "ok".to_owned(),
        (0, findings) => format!("ok, {}", number(findings, "finding")),
        (errors, 0) => number(errors, "error"),
        (errors, findings) => {
            format!(
                "{}, {}",
                number(errors, "error"),
                number(findings, "finding")
            )
        }
    }
}

fn number(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
