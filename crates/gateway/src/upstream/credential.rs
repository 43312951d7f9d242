//! What a call needs of an account.

use std::borrow::Cow;
use std::sync::Arc;

use super::{UpstreamError, UpstreamErrorKind};
use crate::secrets::Cipher;

/// Who an account is, and its token, sealed until it goes into a header.
#[derive(Clone)]
pub(crate) struct Credential {
    account_id: Arc<str>,
    sealed: Arc<str>,
    context: &'static str,
    cipher: Cipher,
}

impl Credential {
    pub(crate) fn new(account_id: Arc<str>, sealed: Arc<str>, context: &'static str, cipher: Cipher) -> Self {
        Self { account_id, sealed, context, cipher }
    }

    pub(crate) fn account_id(&self) -> &Arc<str> {
        &self.account_id
    }

    /// Whether it holds this sealed token: what was learned with another says nothing of the account as it is now.
    pub(crate) fn holds(&self, sealed: &Arc<str>) -> bool {
        Arc::ptr_eq(&self.sealed, sealed) || self.sealed == *sealed
    }

    /// What a refusal says, without the token if it repeats it: words of the upstream are shown and logged.
    pub(super) fn hidden_in<'a>(&self, words: &'a [u8]) -> Cow<'a, [u8]> {
        let Ok(token) = self.open() else { return Cow::Borrowed(words) };
        match memchr::memmem::find(words, token.as_bytes()) {
            None => Cow::Borrowed(words),
            Some(_) => Cow::Owned(String::from_utf8_lossy(words).replace(&token, "…").into_bytes()),
        }
    }

    /// The token in the clear.
    pub(super) fn open(&self) -> Result<String, UpstreamError> {
        self.cipher.open(&self.sealed, self.context).map_err(|_| {
            let words = "the account's token cannot be opened: data/secret.key was replaced; add the account again";
            UpstreamErrorKind::Protocol(words.to_owned()).into()
        })
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Credential({})", self.account_id)
    }
}
