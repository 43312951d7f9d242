//! Slow hashes of passwords.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use super::AdminsError;

/// KiB of memory and passes of a hash. As strong as 19 MiB with two passes, and what one sign-in leaves in the process is small.
const MEMORY_KIB: u32 = 7_168;
const PASSES: u32 = 5;

/// Hashes computed at the same time: each takes 7 MiB and a core for some 20 ms.
const AT_ONCE: usize = 2;

/// Stands in for the hash of an admin who does not exist, so that the answer takes as long as for one who does. No password
/// has it: the hash is made up.
const DECOY: &str = "$argon2id$v=19$m=7168,t=5,p=1$Z3JvazJhcGktZGVjb3ktcw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Computes and checks hashes (argon2id).
pub(super) struct Passwords {
    permits: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A salted hash as a PHC string.
    pub(super) async fn hash(&self, password: &str) -> Result<String, AdminsError> {
        let password = password.to_owned();
        self.run(move || {
            let params = Params::new(MEMORY_KIB, PASSES, 1, None)?;
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            argon2.hash_password(password.as_bytes()).map(|hash: PasswordHash| hash.to_string())
        })
        .await
    }

    /// Whether the password has the hash; without a hash it is never right, after the same time.
    pub(super) async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool, AdminsError> {
        let password = password.to_owned();
        self.run(move || {
            let hash = hash.as_deref().unwrap_or(DECOY);
            match Argon2::default().verify_password(password.as_bytes(), hash) {
                Ok(()) => Ok(true),
                Err(Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, AdminsError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let result = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a caller who gives up does not free the core it uses.
            let _permit = permit;
            work()
        })
        .await;
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(AdminsError::Hashing(error.to_string())),
            Err(error) => Err(AdminsError::Hashing(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_recognised_and_no_other() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$") && !hash.contains("horse"));
        assert!(passwords.verify("correct horse", Some(hash.clone())).await.unwrap());
        for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
            assert!(!passwords.verify(wrong, Some(hash.clone())).await.unwrap(), "{wrong}");
        }
        assert_ne!(passwords.hash("correct horse").await.unwrap(), hash, "salted");
    }

    #[tokio::test]
    async fn the_decoy_costs_what_a_hash_costs_and_is_never_right() {
        let passwords = Passwords::new();
        assert!(!passwords.verify("anything", None).await.unwrap());
        let hash = passwords.hash("anything").await.unwrap();
        let cost = |hash: &str| hash.rsplitn(3, '$').last().unwrap().to_owned();
        assert_eq!(cost(DECOY), cost(&hash));
        assert_eq!(DECOY.len(), hash.len(), "salt and hash are as long");
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
        let result = Passwords::new().verify("anything", Some("rubbish".to_owned())).await;
        assert!(matches!(result, Err(AdminsError::Hashing(_))));
    }
}
