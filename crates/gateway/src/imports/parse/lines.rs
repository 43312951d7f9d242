//! Lines: a token, `sso=…`, a whole cookie line, a table with or without a header, or what sellers write
//! (`mail----password----token`).

use protocol::steps;

use super::{Found, Listed, Unreadable, is_web_token, json, label, tier, token};

/// What separates the fields of a line. Semicolons belong to cookies.
const SEPARATORS: [&str; 4] = ["----", "\t", "|", ","];

/// The same where no header says what the fields are.
const LOOSE_SEPARATORS: [&str; 5] = ["----", "\t", "|", ",", ":"];

/// Names of the column with the token.
const TOKEN_COLUMNS: [&str; 6] = ["token", "sso", "sso_token", "ssotoken", "cookie", "cookies"];
const LABEL_COLUMNS: [&str; 7] = ["label", "name", "note", "remark", "email", "mail", "备注"];
const TAG_COLUMNS: [&str; 3] = ["tags", "tag", "标签"];
const TIER_COLUMNS: [&str; 5] = ["tier", "plan", "type", "pool", "等级"];

/// The columns of a table, by their numbers.
struct Table {
    separator: &'static str,
    token: usize,
    label: Option<usize>,
    tags: Option<usize>,
    tier: Option<usize>,
}

pub(super) fn read(text: &str) -> Listed {
    let mut listed = Listed::default();
    let mut table = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        if listed.entries == 0 && table.is_none() {
            table = header(line);
            if table.is_some() {
                continue;
            }
        }
        listed.entries += 1;
        if line.starts_with('{') {
            // One object per line, as logs and database dumps have it.
            match serde_json::from_str(line) {
                Ok(value) => take_json(&mut listed, json::read(&value), number),
                Err(_) => listed.unreadable.push(Unreadable { place: number, code: "not_json" }),
            }
            continue;
        }
        let read = match &table {
            Some(table) => row(line, table),
            None => plain(line),
        };
        match read {
            Ok(found) => listed.found.push(Found { place: number, ..found }),
            Err(code) => listed.unreadable.push(Unreadable { place: number, code }),
        }
    }
    listed
}

fn take_json(listed: &mut Listed, line: Listed, number: usize) {
    if line.found.is_empty() {
        listed.unreadable.push(Unreadable { place: number, code: "not_a_token" });
    }
    listed.found.extend(line.found.into_iter().map(|found| Found { place: number, ..found }));
}

/// The table that a first line is the header of.
fn header(line: &str) -> Option<Table> {
    let separator = SEPARATORS.into_iter().find(|separator| line.contains(separator))?;
    let fields = fields(line, separator);
    if fields.iter().any(|field| is_web_token(field)) {
        // A line of a browser's cookie file, or one that is called `token`.
        return None;
    }
    let names: Vec<String> = fields.into_iter().map(|name| name.to_lowercase()).collect();
    let find = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
    Some(Table {
        separator,
        token: find(&TOKEN_COLUMNS)?,
        label: find(&LABEL_COLUMNS),
        tags: find(&TAG_COLUMNS),
        tier: find(&TIER_COLUMNS),
    })
}

fn row(line: &str, table: &Table) -> Result<Found, &'static str> {
    let fields = fields(line, table.separator);
    let field =
        |column: Option<usize>| column.and_then(|column| fields.get(column)).map(String::as_str).unwrap_or_default();
    let tags = field(table.tags).split([';', ' ', '/']).map(str::trim).filter(|tag| !tag.is_empty());
    Ok(Found {
        token: token(field(Some(table.token)))?,
        label: label(field(table.label)),
        tags: tags.map(str::to_owned).collect(),
        tier: tier(field(table.tier)),
        ..Found::default()
    })
}

/// A line that no header describes.
fn plain(line: &str) -> Result<Found, &'static str> {
    let whole = token(line);
    // Without the cookie's name, a mail address or a list of fields is no token: it may hold somebody's password.
    let is_named = line.contains("sso=") || line.contains("sso-rw=");
    let is_odd =
        |token: &str| token.contains('@') || LOOSE_SEPARATORS.iter().any(|separator| token.contains(separator));
    if let Ok(token) = &whole
        && (is_named || !is_odd(token))
    {
        return Ok(Found { token: token.clone(), ..Found::default() });
    }
    for separator in LOOSE_SEPARATORS.into_iter().filter(|separator| line.contains(separator)) {
        let fields = fields(line, separator);
        let found = fields.iter().filter_map(|field| token(field).ok()).find(|token| is_web_token(token));
        if let Some(token) = found {
            // A password may stand in any of the others; only what is a mail address is surely a name.
            let mail = fields.iter().find(|field| is_mail(field));
            return Ok(Found { token, label: mail.and_then(|mail| label(mail)), ..Found::default() });
        }
    }
    Err(whole.err().unwrap_or("not_a_token"))
}

fn is_mail(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
        && !text.contains(char::is_whitespace)
}

/// The fields of a line; in a table with commas a field may stand in quotes, with doubled ones inside.
fn fields(line: &str, separator: &str) -> Vec<String> {
    steps::add(line.len());
    if separator != "," {
        return line.split(separator).map(|field| field.trim().to_owned()).collect();
    }
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, is_quoted) {
            ('"', true) if characters.peek() == Some(&'"') => {
                characters.next();
                push(&mut fields, '"');
            }
            ('"', _) => is_quoted = !is_quoted,
            (',', false) => fields.push(String::new()),
            (character, _) => push(&mut fields, character),
        }
    }
    fields.into_iter().map(|field| field.trim().to_owned()).collect()
}

fn push(fields: &mut [String], character: char) {
    if let Some(last) = fields.last_mut() {
        last.push(character);
    }
}
