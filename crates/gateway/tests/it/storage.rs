//! What happens when the database does not take what is written.

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::harness::Rig;

#[tokio::test]
async fn a_locked_database_is_told_and_no_turn_is_begun_until_it_is_free() {
    let rig = Rig::new(&["anna"]).await;
    let path = rig.directory.path().join("grok2api.db");
    let options = SqliteConnectOptions::new().filename(path);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let first = rig.talk(false);
    let meanwhile = async {
        rig.until("the lock is told", async |rig| {
            rig.http().get(rig.url("/readyz")).send().await.unwrap().status() == 503
        })
        .await;
        let calls = rig.simulator.report().count("new");
        let refused = rig.talk(true).ask("in vain").await;
        assert_eq!((refused.status, refused.error()["code"].as_str()), (503, Some("storage_unavailable")));
        assert_eq!(
            rig.simulator.report().count("new"),
            calls,
            "the upstream was asked for an answer that cannot be kept"
        );
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    };
    let (answer, ()) = tokio::join!(first.ask("patience"), meanwhile);
    answer.ok();
    assert_eq!(rig.http().get(rig.url("/readyz")).send().await.unwrap().status(), 200);
    rig.talk(false).ask("again").await.ok();
}
