//! The claim of a fresh gateway: whoever has the code that was printed at the first start becomes its admin.
//!
//! The code is printed once and kept as a hash, in a file of its own, so that a gateway that restarts before anybody claimed it
//! can still be claimed with the same code and prints nothing again.

use std::fs;
use std::io;

use subtle::ConstantTimeEq;

use super::{Admins, AdminsError, Browser, NewSession, Subject, check_new_password, checked_username};
use crate::secrets::{hash_secret, random_array, write_private};

/// Letters and digits that are not mistaken for one another; 32 of them, so that five random bits choose one.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters of a code without its hyphen: 40 bits, behind a throttle.
const CODE_LENGTH: usize = 8;

/// What stands between a fresh gateway and its first admin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClaimCode {
    /// There is an admin.
    NotNeeded,
    /// To be printed, now and never again.
    New(String),
    /// Was printed at an earlier start.
    Printed,
}

/// A try to claim the gateway.
#[derive(Clone)]
pub(crate) struct Claim {
    pub(crate) code: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) browser: Browser,
}

impl Admins {
    /// Whether nobody is admin yet.
    pub(crate) fn claim_needed(&self) -> bool {
        self.state().admins.is_empty()
    }

    /// Makes the gateway claimable if it has no admin: with the code of an earlier start or with a new one.
    pub(crate) fn prepare_claim(&self) -> io::Result<ClaimCode> {
        if !self.claim_needed() {
            self.end_claim();
            return Ok(ClaimCode::NotNeeded);
        }
        let file = &self.shared.claim_file;
        match fs::read_to_string(file) {
            Ok(hash) => {
                self.state().claim = Some(hash.trim().to_owned());
                Ok(ClaimCode::Printed)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let code = new_code();
                let hash = hash_of(&code);
                write_private(file, format!("{hash}\n").as_bytes())?;
                self.state().claim = Some(hash);
                Ok(ClaimCode::New(code))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the bearer of the code the admin and signs them in.
    pub(crate) async fn claim(&self, claim: Claim) -> Result<NewSession, AdminsError> {
        if !self.claim_needed() {
            return Err(AdminsError::ClaimClosed);
        }
        let username = checked_username(&claim.username)?;
        check_new_password("/password", &claim.password, &username)?;
        let admission = self.admit(Subject::address(claim.browser.address), None)?;
        let expected = self.state().claim.clone();
        let given = hash_of(&claim.code);
        if !expected.is_some_and(|expected| bool::from(expected.as_bytes().ct_eq(given.as_bytes()))) {
            return Err(AdminsError::WrongCode);
        }
        admission.was_right(claim.browser.address);
        let hash = self.insert_first(username.clone(), &claim.password).await?.ok_or(AdminsError::ClaimClosed)?;
        self.open_session(&username, &hash, false, claim.browser).await
    }

    /// The code has done its work.
    pub(super) fn end_claim(&self) {
        self.state().claim = None;
        let file = &self.shared.claim_file;
        match fs::remove_file(file) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Of no use to anybody now; only untidy.
            Err(error) => tracing::warn!(path = %file.display(), %error, "the used claim code could not be deleted"),
        }
    }
}

fn new_code() -> String {
    let random: [u8; CODE_LENGTH] = random_array();
    let letters: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
    format!("{}-{}", &letters[..CODE_LENGTH / 2], &letters[CODE_LENGTH / 2..])
}

/// The hash of a code as people type it: small letters, no hyphen, an O for a zero.
fn hash_of(code: &str) -> String {
    let letters =
        code.chars().filter(|letter| letter.is_ascii_alphanumeric()).map(|letter| match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            letter => letter,
        });
    hash_secret(letters.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_random_and_have_the_form_that_is_printed() {
        let (first, second) = (new_code(), new_code());
        assert_ne!(first, second);
        let (left, right) = first.split_once('-').unwrap();
        assert_eq!((left.len(), right.len()), (4, 4));
        assert!(first.bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)), "{first}");
    }

    #[test]
    fn a_code_is_recognised_as_people_type_it() {
        for typed in ["01AB-CDEF", "o1ab-cdef", " 0lAB cdef ", "OIABCDEF"] {
            assert_eq!(hash_of(typed), hash_of("01AB-CDEF"), "{typed}");
        }
        assert_ne!(hash_of("01AB-CDEG"), hash_of("01AB-CDEF"));
    }
}
