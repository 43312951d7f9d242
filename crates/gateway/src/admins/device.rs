//! Browsers that signed in before. Each has a sealed cookie, which opens nothing: it only says that this browser is not a stranger
//! who guesses, so that strangers cannot lock it out (see the module `throttle`).

use crate::secrets::{Cipher, random_token};

/// What the value is sealed for.
const CONTEXT: &str = "admin device";

/// Random bytes of a device's name.
const NAME_BYTES: usize = 12;

/// Longest value that is looked at.
const LONGEST: usize = 512;

/// A value for a browser in which `username` has signed in: the one that it has, or a new one.
pub(super) fn value(cipher: &Cipher, username: &str, present: Option<&str>) -> String {
    match present.filter(|present| name(cipher, username, present).is_some()) {
        Some(present) => present.to_owned(),
        None => cipher.seal(&format!("{}\n{username}", random_token(NAME_BYTES)), CONTEXT),
    }
}

/// The name of the device that the value belongs to, if it is one of `username`.
pub(super) fn name(cipher: &Cipher, username: &str, value: &str) -> Option<String> {
    let value = (value.len() <= LONGEST).then(|| cipher.open(value, CONTEXT).ok())??;
    let (name, owner) = value.split_once('\n')?;
    (owner == username).then(|| name.to_owned())
}
