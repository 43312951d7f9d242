//! The forms for load on the socket, and TLS.

use std::{sync::Arc, time::Duration};

use grok2api_simulator::{Options, Reply};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, client_async, connect_async};

use crate::{
    client::World,
    endings::until,
    socket_client::{SocketClient, SocketTurn, chunks, loading},
};

async fn stateless() -> World {
    World::with(Options { keep_tree: false, ..Options::default() }).await
}

fn tokens(tokens: usize, interval: u64) -> Reply {
    Reply::Tokens { tokens, interval: Duration::from_millis(interval), thinking: 2 }
}

#[tokio::test]
async fn prepared_and_played_answers_have_the_same_events() {
    let (kept, load) = (World::new().await, stateless().await);
    for wishes in
        [chunks(), json!({}), json!({"use_chunk": true, "is_temporary": true, "disable_text_follow_ups": true})]
    {
        for interval in [0, 1] {
            let mut turns: Vec<SocketTurn> = Vec::new();
            for world in [&kept, &load] {
                world.simulator.account("a").always(Some(tokens(10, interval)));
                let mut socket = world.socket("a").await;
                socket.open(wishes.clone()).await;
                turns.push(socket.ask("hello").await);
            }
            let [played, prepared] = &turns[..] else { panic!("two turns") };
            assert_eq!(types(played), types(prepared));
            assert_eq!(numbers(played), numbers(prepared));
            assert_eq!(played.text(), prepared.text());
            let sessions: Vec<_> = prepared.envelopes.iter().map(|envelope| &envelope["session_id"]).collect();
            assert!(sessions.iter().all(|session| **session == prepared.conversation.as_str()), "{sessions:?}");
            let done = prepared.of_type("response.done")[0];
            assert_eq!(
                (done["response"]["id"].as_str(), prepared.status()),
                (Some(&*prepared.response()), "completed")
            );
        }
    }
}

fn types(turn: &SocketTurn) -> Vec<&str> {
    turn.events().filter_map(|event| event["type"].as_str()).collect()
}

/// The numbers of the events.
fn numbers(turn: &SocketTurn) -> Vec<&str> {
    turn.events().filter_map(|event| event["event_id"].as_str()?.rsplit('_').next()).collect()
}

#[tokio::test]
async fn prepared_answers_differ_in_their_ids_only() {
    let world = stateless().await;
    world.simulator.account("a").always(Some(tokens(50, 0)));
    let mut socket = world.socket("a").await;
    socket.open(chunks()).await;
    let first = socket.ask("hello").await;
    let second = socket.ask("hello").await;
    assert_eq!(first.text(), second.text());
    assert_ne!(first.response(), second.response());
    assert_eq!(first.of_type("response.created")[0]["client_event_id"], "evt_test_3");
    assert_eq!(second.of_type("response.created")[0]["client_event_id"], "evt_test_5");
    let mut later = world.socket("b").await;
    world.simulator.account("b").always(Some(tokens(50, 0)));
    assert_eq!(later.open(loading("00000000-0000-4000-8000-000000000000")).await.len(), 2, "any conversation is there");
    assert_eq!(later.ask("hello").await.text(), first.text());
    assert!(world.simulator.calls().is_empty() && world.simulator.account("a").conversations().is_empty());
    let report = world.simulator.report();
    assert_eq!((report.count("new"), report.count("responses"), report.streams_finished), (1, 2, 3));
    assert_eq!(report.violations, []);
}

#[tokio::test]
async fn prepared_answers_keep_their_pace() {
    let world = stateless().await;
    world.simulator.account("a").always(Some(tokens(20, 10)));
    let begun = std::time::Instant::now();
    let turn = world.ask("a", "hello").await;
    assert!(begun.elapsed() >= Duration::from_millis(210), "21 pauses of 10 ms");
    assert_eq!(turn.text().split(' ').count(), 20);
}

#[tokio::test]
async fn many_stalled_sockets_wait_until_their_clients_leave() {
    let world = stateless().await;
    world.simulator.account("a").always(Some(Reply::Stall));
    let mut open = Vec::new();
    for _ in 0..200 {
        let mut socket = SocketClient::over(connect_async(world.upgrade("a")).await.unwrap().0);
        socket.open(chunks()).await;
        socket.put("hello").await;
        open.push(socket);
    }
    until(|| world.simulator.report().open_streams == 200).await;
    assert_eq!(world.simulator.report().open_sockets, 200);
    let said = open[0].settle().await;
    assert!(said.iter().any(|said| said["event"]["chunk"]["text"]["text"] == "the"));
    drop(open);
    until(|| world.simulator.report().open_sockets == 0).await;
    assert_eq!(world.simulator.report().streams_aborted, 200);
}

#[tokio::test]
async fn sockets_are_served_over_tls() {
    let world = World::with(Options { tls: true, ..Options::default() }).await;
    let mut roots = RootCertStore::empty();
    let pem = world.simulator.ca_pem().unwrap();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let address = world.simulator.url().trim_start_matches("https://").to_owned();
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await.unwrap();
    let (mut socket, _) = client_async(world.upgrade("a"), stream).await.unwrap();

    use futures_util::{SinkExt, StreamExt};
    socket.send(tokio_tungstenite::tungstenite::Message::text(r#"{"event":{"type":"ping"}}"#)).await.unwrap();
    let pong = socket.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(pong.contains(r#""type":"pong""#), "{pong}");
    assert_eq!(world.simulator.report().open_sockets, 1);
}

#[tokio::test]
async fn shutdown_breaks_sockets() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::hang_after(1));
    let mut socket = world.socket("a").await;
    socket.open(chunks()).await;
    socket.put("hello").await;
    socket.settle().await;
    let MaybeTlsStream::Plain(_) = socket.stream.get_ref() else { panic!("no TLS here") };
    world.simulator.shutdown().await;
    assert!(!socket.drain().await.1, "without a goodbye");
    assert_eq!(world.simulator.report().open_sockets, 0);
}
