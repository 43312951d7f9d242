//! Looks for damaged pages, a few at a time, so that nobody's answer waits for it.

use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::{Store, StoreError, TroubleKind};

/// The check works for so long and then pauses: it takes a fifth of a processor at most.
const WORK: Duration = Duration::from_millis(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Steps of the check between two looks at the clock.
const STEPS: i32 = 100;

impl Store {
    /// Checks all tables and their indexes, one after the other, and keeps the first finding for [`Store::damage`].
    pub(crate) async fn check_pages(&self) -> Result<(), StoreError> {
        // A connection of its own: it is busy for long.
        let mut connection = self.reader().connect_options().connect().await?;
        connection.lock_handle().await?.set_progress_handler(STEPS, paced());
        let found = first_damage(&mut connection).await?;
        connection.close().await?;
        if let Some(finding) = &found {
            tracing::error!(finding, "the database is damaged");
        }
        self.health.set_damage(found);
        Ok(())
    }
}

/// The first damage of a database, in SQLite's words; `None` where there is none.
pub(super) async fn first_damage(connection: &mut SqliteConnection) -> Result<Option<String>, StoreError> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let tables: Vec<String> = match sqlx::query_scalar(tables).fetch_all(&mut *connection).await {
        Ok(tables) => tables,
        Err(error) => return damage_in("the schema", error.into()).map(Some),
    };
    for table in tables {
        // Names of our own migrations; a quote is doubled all the same.
        let check = format!("PRAGMA quick_check(\"{}\")", table.replace('"', "\"\""));
        let found: Result<String, _> = sqlx::query_scalar(AssertSqlSafe(check)).fetch_one(&mut *connection).await;
        match found {
            Ok(words) if words == "ok" => {}
            Ok(words) => return Ok(Some(format!("table {table}: {words}"))),
            Err(error) => return damage_in(&format!("table {table}"), error.into()).map(Some),
        }
    }
    Ok(None)
}

/// An error that is itself a finding.
fn damage_in(place: &str, error: StoreError) -> Result<String, StoreError> {
    match error.trouble_kind() {
        Some(TroubleKind::Damaged | TroubleKind::DiskError) => Ok(format!("{place}: {error}")),
        _ => Err(error),
    }
}

/// Lets the check go on, and pauses it now and then. It runs on the connection's own thread.
fn paced() -> impl FnMut() -> bool + Send + 'static {
    let mut began = Instant::now();
    move || {
        if began.elapsed() >= WORK {
            std::thread::sleep(PAUSE);
            began = Instant::now();
        }
        true
    }
}
