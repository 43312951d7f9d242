//! What a call needs of an account.

use std::sync::Arc;

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

    /// The token in the clear. `None` when it cannot be opened: the key was replaced.
    pub(super) fn token(&self) -> Option<String> {
        self.cipher.open(&self.sealed, self.context).ok()
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Credential({})", self.account_id)
    }
}
