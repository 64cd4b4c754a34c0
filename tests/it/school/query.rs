//! What a list is asked: OneRoster 1.2, REST binding, sections on paging, sorting, filtering and
//! field selection. Strict: what it does not know fails the test.

use std::cmp::Ordering;

use serde_json::Value;

/// The parameters of a request for a list.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) limit: usize,
    pub(super) offset: usize,
    filter: Option<String>,
    sort: Option<String>,
    down: Option<()>,
    fields: Option<Vec<String>>,
}

impl Query {
    pub(super) fn read(query: &str) -> Self {
        let mut read = Self {
            limit: 100,
            offset: 0,
            filter: None,
            sort: None,
            down: None,
            fields: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            let value = super::percent::decoded(value);
            match name {
                "limit" => read.limit = value.parse().unwrap(),
                "offset" => read.offset = value.parse().unwrap(),
                "filter" => read.filter = Some(value),
                "sort" => read.sort = Some(value),
                "orderBy" => read.down = (value == "desc").then_some(()),
                "fields" => read.fields = Some(value.split(',').map(str::to_owned).collect()),
                other => panic!("the school was asked for {other}={value}"),
            }
        }
        read
    }

    pub(super) fn keep_and_sort(&self, items: &mut Vec<Value>) {
        if let Some(filter) = &self.filter {
            items.retain(|item| passes(item, filter));
        }
        if let Some(path) = &self.sort {
            items.sort_by_key(|item| first(item, path));
        }
        if self.down.is_some() {
            items.reverse();
        }
    }

    /// Only the fields that are wanted.
    pub(super) fn choose(&self, mut item: Value) -> Value {
        if let (Some(wanted), Some(fields)) = (&self.fields, item.as_object_mut()) {
            fields.retain(|key, _| wanted.contains(key));
        }
        item
    }
}

/// Whether an item passes a filter: clauses, joined from left to right.
fn passes(item: &Value, filter: &str) -> bool {
    let mut rest = filter;
    let mut so_far: Option<bool> = None;
    let mut any = false;
    loop {
        let (before, after) = rest.split_once('\'').unwrap();
        let (value, behind) = after.split_once('\'').unwrap();
        let end = before.find(['=', '!', '<', '>', '~']).unwrap();
        let (field, operator) = before.split_at(end);
        let fits = values(item, field)
            .iter()
            .any(|is| holds(is, operator, value));
        so_far = Some(match so_far {
            None => fits,
            Some(before) if any => before || fits,
            Some(before) => before && fits,
        });
        if let Some(more) = behind.strip_prefix(" AND ") {
            (rest, any) = (more, false);
        } else if let Some(more) = behind.strip_prefix(" OR ") {
            (rest, any) = (more, true);
        } else {
            assert_eq!(behind, "", "the school was asked {filter}");
            return so_far.unwrap();
        }
    }
}

fn holds(is: &str, operator: &str, value: &str) -> bool {
    let order = is.cmp(value);
    match operator {
        "=" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        ">" => order == Ordering::Greater,
        ">=" => order != Ordering::Less,
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        "~" => is.contains(value),
        other => panic!("no such operator: {other}"),
    }
}

fn first(item: &Value, path: &str) -> String {
    values(item, path).into_iter().next().unwrap_or_default()
}

/// Every scalar that a dotted path leads to, through lists.
fn values(item: &Value, path: &str) -> Vec<String> {
    let (key, rest) = path.split_once('.').unwrap_or((path, ""));
    let found = match item {
        Value::Array(items) => return items.iter().flat_map(|item| values(item, path)).collect(),
        Value::Object(fields) => fields.get(key),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => None,
    };
    match found {
        Some(found) if !rest.is_empty() => values(found, rest),
        Some(Value::Array(items)) => items.iter().map(written).collect(),
        Some(found) => vec![written(found)],
        None => Vec::new(),
    }
}

fn written(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
