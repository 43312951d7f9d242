//! What must not lie around in clear: encryption of account tokens, hashes of secrets, random secrets, private files.
//!
//! Account tokens have to be readable by the service, so they are sealed with a key that lives outside the database. Secrets that
//! only have to be recognised (API keys, sessions, codes) are stored as hashes. Nothing in here ever prints a secret.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

/// The file in the data directory that holds the key.
const KEY_FILE: &str = "secret.key";

/// A known text sealed with the key: tells at start whether the key is the one that sealed the stored data.
pub(crate) const SEAL_CHECK_FILE: &str = "secret.check";
const CHECK_TEXT: &str = "grok2api";
const CHECK_CONTEXT: &str = "secret.check";

const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 24;

/// Characters of a fingerprint: 48 bits keep 100,000 accounts apart.
const FINGERPRINT_LENGTH: usize = 12;

/// Why the key could not be made ready, or a sealed text not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("cannot {action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{origin} is not a key: 32 bytes as base64 or hexadecimal are expected, such as `openssl rand -base64 32` prints"
    )]
    BadKey { origin: String },
    #[error(
        "{origin} is not the key that sealed the account tokens in {}: put the right key back; to give the stored tokens up \
         instead, delete {SEAL_CHECK_FILE} there and add the accounts anew",
        data_dir.display()
    )]
    WrongKey { origin: String, data_dir: PathBuf },
    #[error(
        "{} has sealed account tokens but no {KEY_FILE}: put the file back or set GROK2API_SECRET_KEY; to give the stored tokens \
         up instead, delete {SEAL_CHECK_FILE} there and add the accounts anew",
        data_dir.display()
    )]
    KeyMissing { data_dir: PathBuf },
    #[error("a sealed value does not open: it was altered or sealed with another key")]
    Sealed,
}

/// Seals account tokens and names them without revealing them.
#[derive(Clone)]
pub(crate) struct Cipher {
    aead: XChaCha20Poly1305,
    fingerprint_key: [u8; 32],
}

impl fmt::Debug for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Cipher")
    }
}

impl Cipher {
    /// Takes the key from `environment` (the value of `GROK2API_SECRET_KEY`) or from the data directory, where it is made on
    /// the first start. Fails when the key is not the one that sealed what the directory already holds.
    pub(crate) fn load_or_create(data_dir: &Path, environment: Option<&str>) -> Result<Self, SecretError> {
        let key_path = data_dir.join(KEY_FILE);
        let check_path = data_dir.join(SEAL_CHECK_FILE);
        let check = read_if_present(&check_path)?;
        let (key, origin) = match environment {
            Some(text) => {
                let origin = "GROK2API_SECRET_KEY".to_owned();
                (parse_key(text).ok_or_else(|| SecretError::BadKey { origin: origin.clone() })?, origin)
            }
            None => (load_or_create_key(data_dir, &key_path, check.is_some())?, key_path.display().to_string()),
        };
        let cipher = Self::from_key(&key);
        match check {
            Some(sealed) if cipher.open(sealed.trim(), CHECK_CONTEXT).is_ok_and(|text| text == CHECK_TEXT) => {}
            Some(_) => return Err(SecretError::WrongKey { origin, data_dir: data_dir.to_owned() }),
            None => write_private(&check_path, cipher.seal(CHECK_TEXT, CHECK_CONTEXT).as_bytes())
                .map_err(|source| SecretError::File { action: "write", path: check_path, source })?,
        }
        Ok(cipher)
    }

    fn from_key(key: &[u8; KEY_LENGTH]) -> Self {
        // The fingerprint key is derived, so that a fingerprint says nothing about the key that seals.
        let fingerprint_key = Sha256::new().chain_update(b"fingerprint").chain_update(key).finalize().into();
        Self { aead: XChaCha20Poly1305::new(key.into()), fingerprint_key }
    }

    /// Encrypts `plain`. The result opens only under the same `context` (for example the id of the row that holds it), so a
    /// sealed value that is moved to another row is noticed.
    pub(crate) fn seal(&self, plain: &str, context: &str) -> String {
        let nonce: [u8; NONCE_LENGTH] = random_array();
        let payload = Payload { msg: plain.as_bytes(), aad: context.as_bytes() };
        let sealed =
            self.aead.encrypt(&XNonce::from(nonce), payload).expect("only texts beyond 256 GB cannot be sealed");
        STANDARD.encode([nonce.as_slice(), sealed.as_slice()].concat())
    }

    /// Decrypts what [`Cipher::seal`] made under the same `context`.
    pub(crate) fn open(&self, sealed: &str, context: &str) -> Result<String, SecretError> {
        let bytes = STANDARD.decode(sealed).map_err(|_| SecretError::Sealed)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LENGTH>().ok_or(SecretError::Sealed)?;
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        let plain = self.aead.decrypt(&XNonce::from(*nonce), payload).map_err(|_| SecretError::Sealed)?;
        String::from_utf8(plain).map_err(|_| SecretError::Sealed)
    }

    /// A name for a token that can be shown and compared: the start of a keyed hash, 12 hexadecimal digits.
    pub(crate) fn fingerprint(&self, token: &str) -> String {
        // Two rounds under the key, so that nothing can be computed from one digest to the next.
        let inner = Sha256::new().chain_update(self.fingerprint_key).chain_update(token).finalize();
        let outer = Sha256::new().chain_update(self.fingerprint_key).chain_update(inner).finalize();
        let mut text = hexadecimal(&outer);
        text.truncate(FINGERPRINT_LENGTH);
        text
    }
}

/// Whether account tokens were sealed for this directory at some time.
pub(crate) fn has_sealed_data(data_dir: &Path) -> bool {
    data_dir.join(SEAL_CHECK_FILE).exists()
}

/// A random secret of so many bytes, in letters that URLs and headers take (base64url without padding).
pub(crate) fn random_token(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).expect("the operating system has random bytes");
    URL_SAFE_NO_PAD.encode(buffer)
}

/// So many random bytes.
pub(crate) fn random_array<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut buffer = [0; LENGTH];
    getrandom::fill(&mut buffer).expect("the operating system has random bytes");
    buffer
}

/// The stored form of a secret that only has to be recognised: SHA-256 in hexadecimal. Such secrets are random and long, so no
/// salt and no slow hash are needed; passwords are another matter and live in the room of the admins.
pub(crate) fn hash_secret(secret: impl AsRef<[u8]>) -> String {
    hexadecimal(&Sha256::digest(secret))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Replaces a file as a whole, readable by its owner only. After a power cut there is the old file or the new one, never half
/// of one: the bytes go to a file beside it, reach the disk, and then take the name.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let temporary = directory.join(format!(".{}.{}.tmp", name.to_string_lossy(), random_token(6)));
    let written = write_new_private(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // What is left of the attempt only takes space; the first error is the one worth telling.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(directory)
}

fn write_new_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a rename last: on Unix a name is on the disk once its directory is.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

fn load_or_create_key(data_dir: &Path, path: &Path, has_sealed_data: bool) -> Result<[u8; KEY_LENGTH], SecretError> {
    if let Some(text) = read_if_present(path)? {
        return parse_key(&text).ok_or_else(|| SecretError::BadKey { origin: path.display().to_string() });
    }
    if has_sealed_data {
        return Err(SecretError::KeyMissing { data_dir: data_dir.to_owned() });
    }
    let key = random_array();
    write_private(path, format!("{}\n", STANDARD.encode(key)).as_bytes()).map_err(|source| SecretError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })?;
    Ok(key)
}

fn read_if_present(path: &Path) -> Result<Option<String>, SecretError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SecretError::File { action: "read", path: path.to_owned(), source }),
    }
}

/// Reads a key as base64 (either alphabet, padded or not) or as hexadecimal: the forms that common tools print.
fn parse_key(text: &str) -> Option<[u8; KEY_LENGTH]> {
    let text = text.trim();
    if text.len() == 2 * KEY_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let bytes: Option<Vec<u8>> =
            (0..KEY_LENGTH).map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()).collect();
        return bytes?.try_into().ok();
    }
    let url_safe = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    URL_SAFE_NO_PAD.decode(url_safe).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_token_opens_again_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let sealed = Cipher::load_or_create(directory.path(), None).unwrap().seal("token ✓", "acc_1");

        let cipher = Cipher::load_or_create(directory.path(), None).unwrap();

        assert_eq!(cipher.open(&sealed, "acc_1").unwrap(), "token ✓");
        assert!(!sealed.contains("token"));
    }

    #[test]
    fn a_sealed_token_opens_only_where_it_belongs_and_unaltered() {
        let cipher = Cipher::from_key(&[7; 32]);
        let sealed = cipher.seal("token", "acc_1");

        assert!(cipher.open(&sealed, "acc_2").is_err(), "another row");
        assert!(Cipher::from_key(&[8; 32]).open(&sealed, "acc_1").is_err(), "another key");
        for (index, _) in sealed.char_indices() {
            let other = if sealed.as_bytes()[index] == b'A' { "B" } else { "A" };
            let altered = format!("{}{other}{}", &sealed[..index], &sealed[index + 1..]);
            assert!(cipher.open(&altered, "acc_1").is_err(), "altered at {index}");
        }
        for text in ["", "AAAA", "not base64 at all"] {
            assert!(cipher.open(text, "acc_1").is_err(), "{text}");
        }
    }

    #[test]
    fn sealing_twice_gives_two_texts() {
        let cipher = Cipher::from_key(&[7; 32]);
        assert_ne!(cipher.seal("token", ""), cipher.seal("token", ""));
    }

    #[test]
    fn a_fingerprint_depends_on_token_and_key() {
        let cipher = Cipher::from_key(&[7; 32]);
        assert_eq!(cipher.fingerprint("a"), cipher.fingerprint("a"));
        assert_eq!(cipher.fingerprint("a").len(), FINGERPRINT_LENGTH);
        assert_ne!(cipher.fingerprint("a"), cipher.fingerprint("b"));
        assert_ne!(cipher.fingerprint("a"), Cipher::from_key(&[8; 32]).fingerprint("a"));
    }

    #[test]
    fn a_key_that_does_not_fit_the_data_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        Cipher::load_or_create(directory.path(), None).unwrap();

        let other = STANDARD.encode([9; 32]);
        let error = Cipher::load_or_create(directory.path(), Some(&other)).unwrap_err();
        assert!(matches!(error, SecretError::WrongKey { .. }), "{error}");

        fs::remove_file(directory.path().join(KEY_FILE)).unwrap();
        let error = Cipher::load_or_create(directory.path(), None).unwrap_err();
        assert!(matches!(error, SecretError::KeyMissing { .. }), "{error}");
        assert!(!directory.path().join(KEY_FILE).exists(), "no new key is made beside data of an old one");

        fs::write(directory.path().join(KEY_FILE), "rubbish").unwrap();
        let error = Cipher::load_or_create(directory.path(), None).unwrap_err();
        assert!(matches!(error, SecretError::BadKey { .. }), "{error}");
    }

    #[test]
    fn a_key_is_read_in_the_forms_that_tools_print() {
        let key: [u8; 32] = std::array::from_fn(|index| 255 - u8::try_from(index).unwrap());
        for text in [
            STANDARD.encode(key),
            URL_SAFE_NO_PAD.encode(key),
            hexadecimal(&key),
            format!(" {}\n", STANDARD.encode(key)),
        ] {
            assert_eq!(parse_key(&text), Some(key), "{text}");
        }
        for text in ["", "short", &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33])] {
            assert_eq!(parse_key(text), None, "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_replaced_whole_and_read_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "old").unwrap();

        write_private(&path, b"new").unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn the_hash_of_a_secret_is_sha_256() {
        assert_eq!(hash_secret("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
