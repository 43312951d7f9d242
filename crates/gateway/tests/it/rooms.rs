//! The directions between the rooms (docs/ARCHITECTURE.md).

use std::path::{Path, PathBuf};

/// Rooms and their layer; a room imports from lower layers, or from itself.
const LAYERS: [(&str, u8); 27] = [
    ("main", 11),
    ("lib", 11),
    ("fuzzing", 10),
    ("demo", 10),
    ("check", 10),
    ("import", 10),
    ("app", 9),
    ("upkeep", 8),
    ("http", 7),
    ("jobs", 6),
    ("imports", 5),
    ("chat", 5),
    ("accounts", 4),
    ("conversations", 4),
    ("audit", 4),
    ("images", 4),
    ("keys", 4),
    ("admins", 4),
    ("upstream", 3),
    ("settings", 2),
    ("bootstrap", 5),
    ("store", 1),
    ("secrets", 0),
    ("clock", 0),
    ("limits", 0),
    ("reading", 0),
    ("events", 1),
];

/// Used everywhere, imports nothing but the form of a log line.
const TELEMETRY: &str = "telemetry";

/// Libraries that one room alone may know.
const CONFINED: [(&str, &str); 4] =
    [("axum::", "http"), ("sqlx::", "store"), ("reqwest::", "upstream"), ("tokio_tungstenite::", "upstream")];

fn sources() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
                let room = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
                found.push((room, path));
            }
        }
    }
    found
}

fn layer(room: &str) -> u8 {
    let found = LAYERS.iter().find(|(name, _)| *name == room);
    found.unwrap_or_else(|| panic!("the room {room} has no layer yet: add it to the list")).1
}

#[test]
fn rooms_import_only_lower_rooms() {
    for (room, path) in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let Some(rest) = line.split("crate::").nth(1).filter(|_| !line.trim_start().starts_with("//")) else {
                continue;
            };
            let target: String =
                rest.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect();
            if target == room || target == TELEMETRY || room == TELEMETRY || target.is_empty() {
                continue;
            }
            assert!(
                layer(&target) < layer(&room),
                "{}:{}: `{room}` may not import `{target}`: a room imports lower rooms only",
                path.display(),
                number + 1
            );
        }
    }
}

#[test]
fn each_library_of_the_outside_is_known_to_one_room() {
    for (room, path) in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (library, owner) in CONFINED {
            let uses = text.lines().any(|line| line.contains(library) && !line.trim_start().starts_with("//"));
            let is_assembly = library == "axum::" && room == "app";
            assert!(!uses || room == owner || is_assembly, "{}: only `{owner}` may know {library}", path.display());
        }
    }
}

/// Two types of one name are one schema in the OpenAPI document, and one of them is then described wrongly.
#[test]
fn no_two_types_of_the_document_share_a_name() {
    let mut known: Vec<(String, PathBuf)> = Vec::new();
    for (_, path) in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let is_schema = line.contains("derive(") && line.contains("ToSchema");
            let item = lines.clone().find(|line| line.contains("struct ") || line.contains("enum "));
            let Some(item) = item.filter(|_| is_schema) else { continue };
            let name = ["struct ", "enum "].iter().find_map(|word| item.split(word).nth(1)).unwrap_or_default();
            let name: String = name.chars().take_while(|letter| letter.is_alphanumeric()).collect();
            let other = known.iter().find(|(other, _)| *other == name);
            assert!(other.is_none(), "{name} stands in {} and in {}", path.display(), other.unwrap().1.display());
            known.push((name, path.clone()));
        }
    }
    assert!(known.len() > 50, "{known:?}");
}
