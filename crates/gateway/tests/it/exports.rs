//! Lists as files.

use serde_json::{Value, json};

use crate::harness::Rig;

async fn file(rig: &Rig, path: &str, accept: &str) -> (u16, String, String) {
    let (_, token) = rig.add_token(&["read"]).await;
    let request = rig.http().get(rig.url(&format!("/admin/api/v1{path}"))).bearer_auth(token).header("accept", accept);
    let response = request.send().await.unwrap();
    let named = response.headers().get("content-disposition").map_or("", |value| value.to_str().unwrap()).to_owned();
    (response.status().as_u16(), named, response.text().await.unwrap())
}

#[tokio::test]
async fn accounts_are_a_file_of_all_that_match_without_a_token() {
    let rig = Rig::new(&[]).await;
    for number in 0..3 {
        let label = if number == 2 { "=HYPERLINK(\"x\")".to_owned() } else { format!("one, {number}") };
        let body =
            json!({ "token": format!("secret-{number}"), "label": label, "tags": ["a", "b"], "enabled": number > 0 });
        let (status, account) = rig.admin("POST", "/accounts", Some(body)).await;
        assert_eq!(status, 201, "{account}");
    }
    rig.simulator.add_account("secret-1").set_quota("fast", 7, 140, None);
    let (_, page) = rig.admin("GET", "/accounts?q=one, 1", None).await;
    let id = page["items"][0]["id"].as_str().unwrap();
    rig.admin("POST", &format!("/accounts/{id}/actions/check_quota"), None).await;

    let (status, named, csv) = file(&rig, "/accounts?sort=-label&limit=1", "text/csv").await;
    assert_eq!((status, named.as_str()), (200, "attachment; filename=\"accounts.csv\""));
    let lines: Vec<&str> = csv.trim_end().split("\r\n").collect();
    assert_eq!(lines.len(), 4, "a head, and all of them whatever the window: {csv}");
    assert!(lines[0].starts_with("id,label,fingerprint,tags,tier,tier_source,enabled,state_name,"), "{csv}");
    assert!(lines[1].contains(",\"one, 1\",") && lines[1].contains(",a b,") && lines[1].contains(",7,140,"), "{csv}");
    assert!(csv.contains("\"'=HYPERLINK(\"\"x\"\")\""), "no formula: {csv}");
    assert!(!csv.contains("secret"), "{csv}");

    let (_, named, lines) = file(&rig, "/accounts?state=disabled", "application/x-ndjson").await;
    assert_eq!(named, "attachment; filename=\"accounts.ndjson\"");
    let accounts: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((accounts.len(), &accounts[0]["label"]), (1, &json!("one, 0")));
    let view = page["view"].as_str().unwrap();
    let (_, _, of_view) = file(&rig, &format!("/accounts?view={view}"), "application/x-ndjson").await;
    assert_eq!(of_view.lines().count(), 1, "{of_view}");
    let (status, _, gone) = file(&rig, "/accounts?view=vw_gone", "text/csv").await;
    assert_eq!(status, 410, "{gone}");
}
