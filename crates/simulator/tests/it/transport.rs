//! HTTP/1.1 and HTTP/2, with and without TLS, on one port.

use grok2api_simulator::{Options, Reply, Simulator};
use reqwest::{Certificate, Client, Version};
use serde_json::json;

use crate::client::{NEW, World, http_client};

async fn chat_version(world: &World) -> Version {
    let response = world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await;
    assert_eq!(response.status(), 200);
    let version = response.version();
    assert!(response.text().await.unwrap().contains("\"title\""));
    version
}

#[tokio::test]
async fn both_versions_are_spoken_in_the_clear() {
    let mut world = World::new().await;
    assert_eq!(chat_version(&world).await, Version::HTTP_11);
    world.http = Client::builder().http2_prior_knowledge().build().unwrap();
    assert_eq!(chat_version(&world).await, Version::HTTP_2);
    assert_eq!(world.simulator.report().connections, 2);
}

#[tokio::test]
async fn tls_offers_http2_to_whoever_trusts_its_certificate() {
    let mut world = World::with(Options { tls: true, ..Options::default() }).await;
    assert!(world.simulator.url().starts_with("https://127.0.0.1:"));
    let authority = Certificate::from_pem(world.simulator.ca_pem().unwrap().as_bytes()).unwrap();
    assert!(world.http.get(world.simulator.url()).send().await.is_err(), "an unknown authority");
    world.http = Client::builder().tls_certs_only([authority]).build().unwrap();
    assert_eq!(chat_version(&world).await, Version::HTTP_2);
}

#[tokio::test]
async fn simultaneous_streams_of_one_connection_are_counted() {
    let mut world = World::new().await;
    world.http = Client::builder().http2_prior_knowledge().build().unwrap();
    world.simulator.account("a").always(Some(Reply::Stall));
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await);
    }
    let report = world.simulator.report();
    assert_eq!((report.connections, report.http2_streams_max, report.open_streams), (1, 5, 5));
    drop(open);
    crate::endings::until(|| world.simulator.report().streams_aborted == 5).await;
}

#[tokio::test]
async fn shutdown_breaks_streams_and_frees_the_port() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::hang_after(1));
    let mut response = world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await;
    world.simulator.shutdown().await;
    let broken = async {
        loop {
            match response.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    };
    assert!(broken.await);
    assert!(http_client().get(world.simulator.url()).send().await.is_err());
    let address = world.simulator.url().trim_start_matches("http://").parse().unwrap();
    Simulator::start(Options { listen: address, ..Options::default() }).await.unwrap();
}

#[tokio::test]
async fn two_simulators_do_not_know_each_other() {
    let (one, two) = (World::new().await, World::new().await);
    one.new_chat("a", "hi").await;
    assert_eq!(two.simulator.report().count("new"), 0);
    assert_eq!(one.simulator.account("a").user_id(), two.simulator.account("a").user_id(), "the same in every run");
}

#[tokio::test]
async fn a_reset_ends_one_stream_of_a_connection_and_not_the_others() {
    let mut world = World::new().await;
    world.http = Client::builder().http2_prior_knowledge().build().unwrap();
    world.simulator.account("a").push(Reply::reset(2));
    let response = world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await;
    assert!(response.text().await.is_err());
    assert_eq!(chat_version(&world).await, Version::HTTP_2);
    assert_eq!(world.simulator.report().connections, 1);
}
