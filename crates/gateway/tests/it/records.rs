//! The request log and the statistics, as a script reads them: what happened to a request, why, and how many there were.

use grok2api_simulator::Reply as Upstream;
use serde_json::{Value, json};

use crate::harness::{KEY, PASSWORD, Rig};
use crate::probes::question;

async fn get(rig: &Rig, path: &str) -> Value {
    let (status, body) = rig.admin("GET", path, None).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// The only request, with all that is told of it.
async fn the_request(rig: &Rig) -> Value {
    rig.requests(1).await;
    let page = get(rig, "/requests").await;
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{page}");
    get(rig, &format!("/requests/{}", items[0]["id"].as_str().unwrap())).await
}

fn texts<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[member].as_str().unwrap_or("null")).collect()
}

#[tokio::test]
async fn a_request_tells_every_attempt_and_what_it_cost() {
    let rig = Rig::new(&["anna", "bert"]).await;
    rig.simulator.account("anna").push(Upstream::rate_limited(true));
    let reply = rig.chat_as(KEY, question("hello there", true), &[("x-request-id", "req-of-a-user")]).await;
    reply.ok();
    let request = the_request(&rig).await;

    let expected = [
        ("request_id", json!("req-of-a-user")),
        ("at", json!("2026-09-01T00:00:00.000Z")),
        ("outcome", json!("succeeded")),
        ("status", json!(200)),
        ("receipt", json!("new")),
        ("transport", json!("websocket")),
        ("attempt_count", json!(2)),
        ("model", json!("grok-4.2")),
        ("mode", json!("auto")),
        ("cause", Value::Null),
        ("error", Value::Null),
        ("tokens_source", json!("estimated")),
    ];
    for (member, value) in expected {
        assert_eq!(request[member], value, "{member}: {request}");
    }
    assert_eq!(request["account"]["label"], "bert");
    let attempts = &request["attempts"];
    assert_eq!(texts(attempts, "outcome"), ["rate_limited", "ok"]);
    let (first, second) = (&attempts[0], &attempts[1]);
    assert_eq!((&first["account"]["label"], &second["account"]["label"]), (&json!("anna"), &json!("bert")));
    assert_eq!((&first["status"], &second["status"]), (&json!(429), &json!(101)));
    assert_eq!((&first["penalty"], &second["penalty"]), (&json!("rate_limited_quota_left"), &Value::Null));
    assert_eq!((&first["class"], &first["transport"]), (&json!("upstream"), &json!("websocket")));
    assert!(first["message"].as_str().unwrap().contains("rate_limited"), "{first}");
    assert_eq!(second["choice"]["rule"], "least_busy");
    assert_eq!(second["choice"]["accounts"], 2);
    let times = [
        &first["started_ms"],
        &first["bound_ms"],
        &first["ended_ms"],
        &second["started_ms"],
        &second["first_byte_ms"],
        &second["first_token_ms"],
        &second["ended_ms"],
        &request["duration_ms"],
    ];
    let times: Vec<i64> = times.iter().map(|time| time.as_i64().unwrap_or_else(|| panic!("{request}"))).collect();
    assert!(times.is_sorted(), "{times:?}");
    let phases = texts(&request["timeline"], "phase");
    let expected = [
        "read",
        "recognise",
        "choose",
        "bind",
        "first_byte",
        "choose",
        "bind",
        "first_byte",
        "first_token",
        "stream",
        "finish",
    ];
    assert_eq!(phases, expected);

    // By what the user was told, as well.
    let by_words = get(&rig, "/requests?q=req-of-a-user").await;
    assert_eq!(by_words["items"][0]["id"], request["id"]);
    assert_eq!(get(&rig, "/requests/req-of-a-user").await["id"], request["id"]);
}

#[tokio::test]
async fn a_request_tells_why_its_conversation_went_on_where_it_did() {
    let rig = Rig::new(&["anna", "bert"]).await;
    let mut talk = rig.talk(false);
    let reason = async |count: usize| {
        rig.requests(count).await;
        let page = get(&rig, "/requests?limit=1").await;
        let newest = page["items"][0]["id"].as_str().unwrap().to_owned();
        let request = get(&rig, &format!("/requests/{newest}")).await;
        let routing = &request["routing"];
        let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
        [
            text(&request["receipt"]),
            text(&routing["receipt_reason"]),
            text(&routing["recognised"]),
            text(&routing["rule"]),
            text(&routing["owner_skipped"]),
        ]
    };
    talk.say("question one").await;
    assert_eq!(reason(1).await, ["new", "no_history", "none", "least_busy", "null"]);
    rig.advance(1);
    talk.say("question two").await;
    assert_eq!(reason(2).await, ["native", "owner_serves", "chain", "owner", "null"]);
    rig.advance(1);
    let owner = get(&rig, "/requests?limit=1").await["items"][0]["account"].clone();
    let path = format!("/accounts/{}", owner["id"].as_str().unwrap());
    rig.admin("PATCH", &path, Some(json!({ "enabled": false }))).await;
    talk.say("question three").await;
    // Its account is switched off, so nobody can share it.
    assert_eq!(reason(3).await, ["replayed", "not_carried_over", "chain", "least_busy", "disabled"]);
}

#[tokio::test]
async fn a_failure_tells_its_cause_in_one_sentence() {
    let rig = Rig::new(&["anna", "bert"]).await;
    for account in ["anna", "bert"] {
        rig.simulator.account(account).push(Upstream::rate_limited(true));
    }
    assert_eq!(rig.chat(question("hello there", false)).await.status, 429);
    let request = the_request(&rig).await;
    assert_eq!(request["outcome"], "failed");
    assert_eq!(request["error"]["code"], "no_account_available");
    assert_eq!(request["cause"]["code"], "attempts_failed");
    assert_eq!(request["cause"]["params"]["outcomes"], json!({ "rate_limited": 2 }));
    let sentence = "All 2 attempts failed: 2 × rate_limited; no other account could serve.";
    assert_eq!(request["cause"]["message"], sentence);
    // One request charges one account per cause: the trouble may not be the accounts'.
    assert_eq!(texts(&request["attempts"], "penalty"), ["rate_limited_quota_left", "null"]);
    assert_eq!(request["routing"]["skipped"]["rate_limited_quota_left"], 1);
}

#[tokio::test]
async fn an_answer_that_breaks_is_one_attempt_that_broke() {
    let rig = Rig::new(&["anna"]).await;
    rig.simulator.account("anna").push(Upstream::cut(2, false));
    rig.chat(question("hello there", true)).await;
    let request = the_request(&rig).await;
    assert_eq!((&request["outcome"], &request["ending"]), (&json!("failed"), &json!("broken")));
    assert_eq!(request["cause"]["code"], "answer_broke");
    assert_eq!(request["attempts"].as_array().unwrap().len(), 1);
    let attempt = &request["attempts"][0];
    assert!(attempt["first_token_ms"].is_u64(), "{attempt}");
    assert_ne!(attempt["outcome"], "ok");
    assert_eq!(request["error"]["message"], attempt["message"]);
}

#[tokio::test]
async fn a_client_that_leaves_leaves_an_attempt_that_was_under_way() {
    let rig = Rig::new(&["anna"]).await;
    rig.simulator.account("anna").push(Upstream::hang());
    let mut connection = rig.connect().await;
    connection.send_chat(&question("hello there", true)).await;
    rig.until("the upstream is asked", async |rig| !rig.questions().is_empty()).await;
    drop(connection);
    let request = the_request(&rig).await;
    assert_eq!((&request["outcome"], &request["status"]), (&json!("cancelled"), &json!(499)));
    assert_eq!(request["cause"]["code"], "client_left");
    assert_eq!(texts(&request["attempts"], "outcome"), ["client_gone"]);
}

/// A request of a good key that is refused before it has a model.
async fn unreadable(rig: &Rig, key: &str, headers: &[(&str, &str)]) {
    let refused = rig.post("/v1/chat/completions", key, json!([]), headers).await;
    assert_eq!(refused.status, 400);
}

/// A few dozen requests of several kinds, an hour apart by halves; how many.
async fn several(rig: &Rig) -> usize {
    let (phone, broken) = (rig.add_key("phone").await, rig.add_key("broken").await);
    for round in 0..12 {
        rig.advance(1_801);
        let mut body = question("hello there", round % 2 == 0);
        body["model"] = json!(if round % 3 == 0 { "grok-4.2-fast" } else { "grok-4.2" });
        if round % 4 == 3 {
            rig.simulator.account("anna").push(Upstream::moderated_prompt());
            rig.simulator.account("bert").push(Upstream::moderated_prompt());
        }
        let key = if round % 3 == 1 { phone.as_str() } else { KEY };
        rig.chat_as(key, body, &[("user-agent", "OpenAI/Python 1.40.0")]).await;
        rig.simulator.account("anna").clear();
        rig.simulator.account("bert").clear();
        unreadable(rig, &broken, &[]).await;
    }
    rig.requests(24).await;
    24
}

/// What the statistics must say of one grain and dimension, counted from the rows.
fn recount(grain: i64, dimension: &str, value: &str) -> String {
    let bucket = grain * 1_000;
    format!(
        "SELECT COUNT(*) FROM (
           SELECT at / {bucket} * {bucket} AS bucket_at, {value} AS value, COUNT(*) AS requests,
             SUM(ending = 'done') AS succeeded, SUM(ending IN ('failed', 'broken')) AS failed,
             SUM(ending = 'client_gone') AS cancelled, SUM(attempt_count > 1) AS retried,
             SUM(COALESCE(completion_tokens, 0)) AS completion_tokens, SUM(bytes) AS bytes,
             SUM(first_token_ms IS NOT NULL) AS first_tokens
           FROM requests WHERE {value} IS NOT NULL GROUP BY 1, 2
           EXCEPT
           SELECT bucket_at, value, requests, succeeded, failed, cancelled, retried, completion_tokens, bytes,
             first_token_0 + first_token_1 + first_token_2 + first_token_3 + first_token_4 + first_token_5
             + first_token_6 + first_token_7 + first_token_8 + first_token_9 + first_token_10 + first_token_11
           FROM request_stats WHERE grain = {grain} AND dimension = '{dimension}'
         )"
    )
}

#[tokio::test]
async fn the_statistics_are_what_a_recount_gives() {
    let mut rig = Rig::new(&["anna", "bert"]).await;
    several(&rig).await;
    rig.restart().await;
    let dimensions = [
        ("all", "''"),
        ("model", "model"),
        ("key", "key_id"),
        ("account", "account_id"),
        ("error_code", "error_code"),
        ("receipt", "turn"),
    ];
    for (dimension, value) in dimensions {
        for grain in [60, 3_600, 86_400] {
            let kept = match grain {
                60 => !["account", "receipt"].contains(&dimension),
                86_400 => dimension != "receipt",
                _ => true,
            };
            if !kept {
                continue;
            }
            let wrong = rig.count_of(recount(grain, dimension, value)).await;
            assert_eq!(wrong, 0, "{dimension} by {grain} s");
        }
    }
    assert!(rig.count("SELECT COUNT(*) FROM request_stats").await > 60);
}

#[tokio::test]
async fn series_and_top_lists_add_up() {
    let rig = Rig::new(&["anna", "bert"]).await;
    let count = several(&rig).await;
    for range in ["24h", "7d", "30d"] {
        for by in ["", "&by=model", "&by=key", "&by=account", "&by=client", "&by=receipt"] {
            let path =
                format!("/stats/series?metric=requests,failed,first_token_p95_ms&range={range}{by}&compare=prev");
            let body = get(&rig, &path).await;
            let series = body["series"].as_array().unwrap();
            let requests = series.iter().filter(|series| series["metric"] == "requests");
            let (mut total, mut in_buckets) = (0, 0);
            for series in requests {
                let values = series["values"].as_array().unwrap();
                assert_eq!(values.len(), body["buckets"].as_array().unwrap().len());
                total += series["total"].as_u64().unwrap();
                in_buckets += values.iter().filter_map(Value::as_u64).sum::<u64>();
                assert_eq!(series["previous"]["total"], 0, "{path}");
            }
            assert_eq!((total, in_buckets), (count as u64, count as u64), "{path}: {body}");
        }
    }
    let series = get(&rig, "/stats/series?range=30d&tz=Asia/Shanghai&step=1d").await;
    assert_eq!(series["buckets"][0], "2026-08-01T16:00:00.000Z");
    assert_eq!((&series["running"], &series["step_s"]), (&json!(true), &json!(86_400)));
    let values = series["series"][0]["values"].as_array().unwrap();
    assert_eq!(values[0], Value::Null, "nothing was counted yet");
    assert_eq!(values.last().unwrap(), count);

    let top = get(&rig, "/stats/top?by=key&range=24h&compare=prev").await;
    let names: Vec<&str> =
        top["items"].as_array().unwrap().iter().map(|item| item["group"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["broken", "default", "phone"]);
    assert_eq!((&top["items"][1]["requests"], &top["items"][2]["requests"]), (&json!(8), &json!(4)));
    assert_eq!(top["items"][1]["share"], 0.3333);
    assert_eq!((&top["total"]["requests"], &top["total"]["succeeded"]), (&json!(24), &json!(9)));
    assert_eq!(top["items"][0]["previous"]["requests"], 0);

    let errors = get(&rig, "/stats/top?by=error_code&range=24h").await;
    assert_eq!(errors["items"][0]["group"]["id"], "invalid_json");

    let week = get(&rig, "/stats/heatmap?range=7d&tz=UTC").await;
    // 1 September 2026 is a Tuesday.
    let tuesday: u64 = week["requests"][1].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    assert_eq!(tuesday, count as u64);
}

#[tokio::test]
async fn the_present_and_the_capacity_are_told() {
    let rig = Rig::new(&["anna", "bert"]).await;
    for _ in 0..3 {
        rig.chat(question("hello there", true)).await.ok();
    }
    rig.requests(3).await;
    rig.advance(60);
    let now = get(&rig, "/stats/now").await;
    assert_eq!((&now["requests_per_min"], &now["in_flight"]), (&json!(3), &json!(0)));
    assert_eq!(now["success_rate_15m"], 1.0);
    assert!(now["first_token_p50_ms"].is_u64(), "{now}");
    let minutes = now["minutes"]["requests"].as_array().unwrap();
    assert_eq!((minutes.len(), &minutes[58], &minutes[59]), (60, &json!(3), &json!(0)));

    // The quota becomes known after a rate limit.
    rig.simulator.account("anna").push(Upstream::rate_limited(true));
    while rig.simulator.account("anna").queued() > 0 {
        rig.chat(question("hello there", true)).await.ok();
    }
    rig.until("the quota is known", async |rig| {
        get(rig, "/accounts").await["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|account| !account["quota"].as_array().unwrap().is_empty())
    })
    .await;
    let capacity = get(&rig, "/stats/capacity").await;
    let auto = &capacity["modes"][0];
    assert_eq!(auto["mode"], "auto");
    assert_eq!(auto["pace"]["sufficient"], false);
    assert_eq!(auto["pace"]["exhausted_at"], Value::Null);
    assert_eq!(auto["accounts"]["unknown"], 1, "{auto}");
}

#[tokio::test]
async fn the_log_is_paged_from_end_to_end_while_it_grows() {
    let rig = Rig::new(&["anna"]).await;
    for _ in 0..23 {
        unreadable(&rig, KEY, &[]).await;
    }
    rig.requests(23).await;
    let (mut seen, mut path, mut newest) = (Vec::new(), "/requests?limit=5".to_owned(), None);
    loop {
        let page = get(&rig, &path).await;
        seen.extend(texts(&page["items"], "id").into_iter().map(str::to_owned));
        newest.get_or_insert_with(|| page["prev"].as_str().unwrap().to_owned());
        // What comes in the meantime does not shift the pages.
        unreadable(&rig, KEY, &[]).await;
        match page["next"].as_str() {
            Some(next) => path = format!("/requests?limit=5&before={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 23);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first, each once");
    rig.requests(28).await;
    let newer = get(&rig, &format!("/requests?after={}", newest.unwrap())).await;
    assert_eq!(newer["items"].as_array().unwrap().len(), 5);
    let nothing = get(&rig, &format!("/requests?after={}", newer["prev"].as_str().unwrap())).await;
    assert_eq!((nothing["items"].as_array().unwrap().len(), &nothing["prev"]), (0, &newer["prev"]));
}

#[tokio::test]
async fn filters_find_what_they_name_and_facets_count_it() {
    let rig = Rig::new(&["anna", "bert"]).await;
    several(&rig).await;
    let count = async |filter: &str| {
        let page = get(&rig, &format!("/requests?limit=500&{filter}")).await;
        assert_eq!(page["searched_to"], Value::Null);
        page["items"].as_array().unwrap().len()
    };
    let rows = get(&rig, "/requests?limit=500").await;
    let rows = rows["items"].as_array().unwrap();
    let expected = |test: fn(&Value) -> bool| rows.iter().filter(|row| test(row)).count();
    let phone = rows.iter().find(|row| row["key"]["name"] == "phone").unwrap()["key"]["id"].as_str().unwrap();
    let account = rows.iter().find_map(|row| row["account"]["id"].as_str()).unwrap();
    let conversation = rows.iter().find_map(|row| row["conversation_id"].as_str()).unwrap();
    assert_eq!(count("").await, 24);
    assert_eq!(count("outcome=failed").await, expected(|row| row["outcome"] == "failed"));
    assert_eq!(count("outcome=!failed").await, 9);
    assert_eq!(count("status=403,400").await, expected(|row| row["status"] == 403 || row["status"] == 400));
    assert_eq!(count("model=grok-4.2-fast").await, 4);
    assert_eq!(count("model=!grok-4.2-fast").await, 20, "a request without a model has another one");
    assert_eq!(count(&format!("key={phone}")).await, 4);
    assert_eq!(count(&format!("key={phone}&outcome=failed&error_code=content_policy_violation")).await, 1);
    assert!(count(&format!("account={account}")).await > 0);
    assert_eq!(count(&format!("conversation={conversation}")).await, 1);
    assert_eq!(count("error_code=invalid_json").await, 12);
    assert_eq!(count("error_code[exists]=false").await, 9);
    assert_eq!(count("client=OpenAI/Python").await, 12);
    assert_eq!(count("transport=websocket").await, 12);
    assert_eq!(count("transport=rest").await, 0);
    assert_eq!(
        count("receipt=new&stream=true").await,
        expected(|row| row["receipt"] == "new" && row["stream"] == true)
    );
    assert_eq!(count("duration_ms[gte]=0&duration_ms[lt]=3600000").await, 24);
    assert_eq!(count("duration_ms[gt]=3600000").await, 0);
    assert_eq!(count("attempt_count[gte]=1").await, 12);
    assert_eq!(count("q=A+json+OBJECT").await, 12, "the words of the error, whatever their case");
    assert_eq!(count("q=50%25").await, 0, "signs of patterns are taken as they are");
    assert_eq!(count("range=1h").await, 4);
    assert_eq!(count("at[gte]=2026-09-01T05:00:00Z&at[lt]=2026-09-01T06:00:00Z").await, 4);

    let facets = get(&rig, "/requests/facets?field=outcome,model,key,account,error_code&model=grok-4.2").await;
    let values = |position: usize| {
        let facet = &facets["facets"][position];
        assert_eq!(facet["basis"], "log");
        let values = facet["values"].as_array().unwrap().iter();
        values.map(|value| (value["name"].as_str().unwrap(), value["count"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(values(0).iter().map(|(_, count)| count).sum::<u64>(), 8);
    assert_eq!(values(1), [("grok-4.2", 8), ("grok-4.2-fast", 4)], "its own filter does not hide the others");
    assert_eq!(values(2).iter().map(|(_, count)| count).sum::<u64>(), 8);
    assert!(values(3).iter().all(|(name, _)| ["anna", "bert"].contains(name)));

    let histogram = get(&rig, "/requests/histogram?range=24h&error_code=invalid_json").await;
    let failed: u64 = histogram["failed"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    assert_eq!((failed, &histogram["basis"], &histogram["step_s"]), (12, &json!("log"), &json!(900)));
}

#[tokio::test]
async fn slips_in_a_query_are_told_and_not_taken_for_an_empty_log() {
    let rig = Rig::new(&[]).await;
    let cases = [
        ("/requests?colour=red", "colour"),
        ("/requests?outcome=bad", "outcome"),
        ("/requests?status=many", "status"),
        ("/requests?model=a,!b", "model"),
        ("/requests?model[gt]=a", "model"),
        ("/requests?duration_ms=5", "duration_ms"),
        ("/requests?duration_ms[gte]=fast", "duration_ms"),
        ("/requests?at[gte]=yesterday", "at"),
        ("/requests?range=1y", "range"),
        ("/requests?limit=501", "limit"),
        ("/requests?sort=model", "sort"),
        ("/requests?before=x", "before"),
        ("/requests?before=1.a&after=1.a", "after"),
        ("/requests/facets?field=colour", "field"),
        ("/requests/histogram?step=7m", "step"),
        ("/requests/histogram?range=365d&step=1m", "step"),
        ("/stats/series?metric=colour", "metric"),
        ("/stats/series?by=colour", "by"),
        ("/stats/series?tz=Mars/Olympus", "tz"),
        ("/stats/series?range=24h&from=2026-09-01T00:00:00Z", "range"),
        ("/stats/top", "by"),
        ("/stats/top?by=key&metric=first_token_p50_ms", "metric"),
    ];
    for (path, name) in cases {
        let (status, body) = rig.admin("GET", path, None).await;
        assert_eq!((status, body["error"]["code"].as_str()), (422, Some("validation_failed")), "{path}: {body}");
        assert_eq!(body["error"]["fields"][0]["path"], name, "{path}: {body}");
    }
    assert_eq!(rig.admin("GET", "/requests/req_nothing", None).await.0, 404);
    let stranger = rig.http().get(rig.url("/admin/api/v1/requests")).bearer_auth(KEY).send().await.unwrap();
    assert_eq!(stranger.status(), 401, "an API key opens nothing here");
}

#[tokio::test]
async fn the_whole_log_is_a_file() {
    let rig = Rig::new(&["anna", "bert"]).await;
    several(&rig).await;
    let file = async |kind: &str| {
        let session = rig.http().post(rig.url("/admin/api/v1/session"));
        let session = session.json(&json!({ "username": "admin", "password": PASSWORD })).send().await.unwrap();
        let cookie = session.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let request = rig.http().get(rig.url("/admin/api/v1/requests?outcome=failed")).header("cookie", cookie);
        let response = request.header("accept", kind).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(kind));
        response.text().await.unwrap()
    };
    let lines = file("application/x-ndjson").await;
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 15);
    let table = file("text/csv").await;
    let table: Vec<&str> = table.split("\r\n").collect();
    assert_eq!(table.len(), 1 + 15 + 1);
    assert!(table[0].starts_with("at,id,request_id,"), "{}", table[0]);
    assert!(table[1].starts_with("2026-09-01T06:00:12.000Z,req_"), "{}", table[1]);
}

#[tokio::test]
async fn nothing_secret_is_in_the_log_and_a_page_is_small() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzZXNzaW9uIjoiYSJ9.c2lnbmF0dXJl";
    let rig = Rig::new(&[]).await;
    let account = rig.simulator.add_account(token);
    rig.admin("POST", "/accounts", Some(json!({ "token": token, "label": "anna" }))).await;
    account.push(Upstream::http(
        400,
        "application/json",
        &json!({ "error": format!("cookie sso={token} is odd") }).to_string(),
    ));
    rig.chat(question("hello there", false)).await;
    let mut body = question("hello there", false);
    body["reasoning_effort"] = json!(KEY);
    rig.chat(body).await;
    let long = format!("agent/{}", "x".repeat(190));
    for number in 0..60 {
        let id = format!("{number}-{}", "r".repeat(100));
        unreadable(&rig, KEY, &[("user-agent", &long), ("x-request-id", &id)]).await;
    }
    rig.requests(62).await;
    for path in ["/requests?limit=500", "/requests", "/requests/facets", "/stats/top?by=error_code", "/stats/now"] {
        let text = get(&rig, path).await.to_string();
        assert!(!text.contains(token) && !text.contains("c2lnbmF0dXJl") && !text.contains(KEY), "{path}");
        if path == "/requests" {
            assert!(text.len() <= 40 * 1024, "{} bytes", text.len());
        }
    }
    for row in get(&rig, "/requests?limit=500").await["items"].as_array().unwrap() {
        let text = get(&rig, &format!("/requests/{}", row["id"].as_str().unwrap())).await.to_string();
        assert!(!text.contains("c2lnbmF0dXJl") && !text.contains(KEY), "{text}");
    }
}

#[tokio::test]
async fn the_log_keeps_to_its_size_and_age_and_the_statistics_stay() {
    let rig = Rig::with_settings(&["anna"], json!({ "max_log_entries": 10, "log_retention_days": 2 })).await;
    for _ in 0..14 {
        unreadable(&rig, KEY, &[]).await;
    }
    rig.requests(14).await;
    rig.gateway().trim().await;
    assert_eq!(rig.count("SELECT COUNT(*) FROM requests").await, 10);
    rig.advance(3 * 86_400);
    unreadable(&rig, KEY, &[]).await;
    rig.until("it is written", async |rig| rig.count("SELECT COUNT(*) FROM requests").await == 11).await;
    rig.gateway().trim().await;
    assert_eq!(rig.count("SELECT COUNT(*) FROM requests").await, 1);
    let series = get(&rig, "/stats/series?range=7d").await;
    assert_eq!(series["series"][0]["total"], 15);
    assert_eq!(
        rig.count("SELECT COUNT(*) FROM request_stats WHERE grain = 60").await,
        3,
        "minutes of the last two days"
    );
}

#[tokio::test]
async fn made_up_names_of_models_and_programs_share_a_row_of_the_statistics() {
    let rig = Rig::new(&["anna"]).await;
    for number in 0..230 {
        let body =
            json!({ "model": format!("made-up-{number}"), "messages": [{ "role": "user", "content": "hello there" }] });
        let agent = format!("made-up-{number}/1.0");
        rig.chat_as(crate::harness::KEY, body, &[("user-agent", &agent)]).await;
    }
    rig.requests(230).await;
    for dimension in ["model", "mode", "client"] {
        let rows = "SELECT count(DISTINCT value) FROM request_stats WHERE dimension = ";
        assert_eq!(rig.count_of(format!("{rows}'{dimension}'")).await, 201, "{dimension}");
        let shared = "SELECT sum(requests) FROM request_stats WHERE grain = 3600 AND value = 'other' AND dimension = ";
        assert_eq!(rig.count_of(format!("{shared}'{dimension}'")).await, 30, "{dimension}");
    }
    assert_eq!(
        rig.count("SELECT sum(requests) FROM request_stats WHERE grain = 3600 AND dimension = 'all'").await,
        230
    );
    // The log keeps what was asked for, and is trimmed by its own limit.
    assert_eq!(rig.count("SELECT count(DISTINCT model) FROM requests").await, 230);
}

#[tokio::test]
async fn requests_without_a_valid_key_are_counted_apart_and_leave_the_log_alone() {
    let rig = Rig::with_settings(&["anna"], json!({ "max_log_entries": 20 })).await;
    for _ in 0..10 {
        rig.chat(question("hello there", true)).await.ok();
    }
    rig.requests(10).await;
    let (_, made) = rig.admin("POST", "/keys", Some(json!({ "name": "lost" }))).await;
    let (id, lost) = (made["keys"][0]["id"].as_str().unwrap(), made["keys"][0]["key"].as_str().unwrap());
    rig.admin("PATCH", &format!("/keys/{id}"), Some(json!({ "enabled": false }))).await;
    let (_, made) =
        rig.admin("POST", "/keys", Some(json!({ "name": "old", "expires_at": "2026-09-01T00:00:30Z" }))).await;
    let old = made["keys"][0]["key"].as_str().unwrap();
    rig.advance(60);
    let get_with = async |path: &str, key: &str| rig.http().get(rig.url(path)).bearer_auth(key).send().await.unwrap();
    // Every kind, every route; by others, with a model that exists and one that does not.
    assert_eq!(get_with("/v1/models", "sk-elsewhere-0123456789abcdef").await.status(), 401);
    let none = rig.http().post(rig.url("/v1/responses")).json(&json!({})).send().await.unwrap();
    assert_eq!(none.status(), 401);
    for (key, headers) in [(old, [("user-agent", "SillyTavern/1.12")]), (lost, [("x-request-id", "req-of-a-user")])] {
        rig.chat_as(key, question("hello there", true), &headers).await;
    }
    for _ in 0..300 {
        rig.chat_as("sk-wrong", question("hello there", false), &[]).await;
    }

    let rejected = get(&rig, "/requests/rejected").await;
    assert_eq!((&rejected["total"], &rejected["recent"]), (&json!(304), &json!(304)));
    assert_eq!(rejected["items"].as_array().unwrap().len(), 50, "of one address");
    let metric = "grok2api_rejected_requests_total";
    for (code, count) in
        [("invalid_api_key", 301), ("missing_api_key", 1), ("api_key_disabled", 1), ("api_key_expired", 1)]
    {
        assert_eq!(rig.metric(&format!("{metric}{{code=\"{code}\"}}")).await, count, "{code}");
    }
    let attention = get(&rig, "/attention").await;
    let flood = attention["items"].as_array().unwrap().iter().find(|item| item["code"] == "requests_rejected");
    assert_eq!((&flood.unwrap()["count"], &flood.unwrap()["target"]), (&json!(304), &json!("/requests/rejected")));

    // Of all that, the log and its figures know nothing.
    rig.gateway().trim().await;
    rig.chat(question("hello there", false)).await.ok();
    assert_eq!(rig.requests(11).await.len(), 11);
    rig.advance(60);
    let now = get(&rig, "/stats/now").await;
    assert_eq!(now["success_rate_15m"], 1.0);
    let series = get(&rig, "/stats/series?metric=requests,failed&range=24h").await;
    assert_eq!((&series["series"][0]["total"], &series["series"][1]["total"]), (&json!(11), &json!(0)));
    assert!(!attention.to_string().contains("requests_failing"));
    rig.advance(900);
    assert!(!get(&rig, "/attention").await.to_string().contains("requests_rejected"), "it is over");
}

#[tokio::test]
async fn whoever_wonders_why_a_client_is_turned_away_finds_it() {
    let rig = Rig::with_settings(&["anna"], json!({ "trusted_proxies": ["127.0.0.1"] })).await;
    let key = "sk-elsewhere-0123456789abcdef";
    let headers =
        [("user-agent", "SillyTavern/1.12"), ("x-request-id", "req-of-a-user"), ("x-forwarded-for", "192.0.2.7")];
    rig.chat_as(key, question("hello there", true), &headers).await;
    for _ in 0..60 {
        rig.chat_as("sk-wrong", question("hello there", false), &[("x-forwarded-for", "203.0.113.9")]).await;
    }
    let rejected = get(&rig, "/requests/rejected").await;
    assert_eq!(rejected["items"].as_array().unwrap().len(), 51, "a flood does not push others out");
    let expected = json!({
        "at": "2026-09-01T00:00:00.000Z", "request_id": "req-of-a-user", "route": "/v1/chat/completions", "status": 401,
        "error_code": "invalid_api_key", "ip": "192.0.2.7", "user_agent": "SillyTavern/1.12", "key_preview": "sk-…cdef",
    });
    assert_eq!(rejected["items"][50], expected);
    assert!(!rejected.to_string().contains("elsewhere"));
    let stranger = rig.http().get(rig.url("/admin/api/v1/requests/rejected")).bearer_auth(KEY).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    assert_eq!(rig.admin("GET", "/requests/rejected?limit=5", None).await.0, 422, "parameters that it does not have");
}
