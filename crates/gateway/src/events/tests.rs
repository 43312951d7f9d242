//! Streams as consoles meet them.

use std::time::Duration;

use super::*;

fn events() -> Events {
    Events::new(&Clock::manual(5_000))
}

fn reader() -> Reader {
    Reader::Session("ses_1".to_owned())
}

fn topics(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

/// The subjects that are told next.
async fn subjects(subscription: &mut Subscription) -> Vec<String> {
    match subscription.next().await {
        Next::Events(events, _) => events.iter().map(|event| event.subject.clone()).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_told_what_it_asks_for() {
    let events = events();
    let mut all = events.subscribe(reader(), None, None).unwrap();
    let mut some = events.subscribe(reader(), topics(&["accounts", "key:key_2"]), None).unwrap();
    for (topic, subject) in [("accounts.summary", "a"), ("keys", "key_1"), ("keys", "key_2"), ("accountsx", "b")] {
        events.publish("event", topic, subject, &1);
    }
    assert_eq!(subjects(&mut all).await, ["a", "key_1", "key_2", "b"]);
    assert_eq!(subjects(&mut some).await, ["a", "key_2"]);
    assert!(events.is_wanted("keys") && events.wanted_subjects("key") == ["key_2"]);

    assert!(events.set_topics(some.stream(), vec!["settings".to_owned()]));
    events.publish("event", "accounts", "c", &1);
    events.publish("event", "settings", "d", &1);
    assert_eq!(subjects(&mut some).await, ["d"]);
    drop(all);
    assert!(!events.is_wanted("keys") && events.is_wanted("settings"));
    assert!(!events.set_topics("es_unknown", Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn events_of_one_thing_are_told_as_the_last_of_them_and_not_faster_than_four_times_a_second() {
    let events = events();
    let mut stream = events.subscribe(reader(), None, None).unwrap();
    events.publish("key", "keys", "first", &1);
    assert_eq!(subjects(&mut stream).await, ["first"]);
    let told = tokio::time::Instant::now();
    for round in 0..10 {
        events.publish("key", "keys", "a", &round);
        events.publish("key", "keys", "b", &round);
    }
    let Next::Events(batch, place) = stream.next().await else { panic!() };
    assert!(told.elapsed() >= Duration::from_millis(250));
    let told: Vec<_> = batch.iter().map(|event| (event.subject.as_str(), event.data.as_str())).collect();
    assert_eq!((told, place), (vec![("a", "9"), ("b", "9")], batch[1].id));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_back_goes_on_where_it_was() {
    let events = events();
    let place = events.subscribe(reader(), None, None).unwrap().place();
    events.publish("key", "keys", "missed", &1);
    let mut again = events.subscribe(reader(), None, Some(place)).unwrap();
    assert!(again.is_resumed());
    assert_eq!(subjects(&mut again).await, ["missed"]);

    // Of an earlier run, or of none.
    for foreign in [0, place - 1, place + 2] {
        let mut stream = events.subscribe(reader(), None, Some(foreign)).unwrap();
        assert!(!stream.is_resumed());
        assert!(matches!(stream.next().await, Next::Resync(newest) if newest == place + 1));
        events.publish("key", "keys", "next", &1);
        assert_eq!(subjects(&mut stream).await, ["next"]);
        drop(stream);
        events.shared.state.lock().unwrap().newest = place + 1;
        events.shared.state.lock().unwrap().ring.truncate(1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_to_load_anew_and_holds_nothing_up() {
    let events = events();
    let mut slow = events.subscribe(reader(), None, None).unwrap();
    (0..KEPT).for_each(|number| events.publish("key", "keys", &number.to_string(), &number));
    assert_eq!(subjects(&mut slow).await.len(), KEPT, "as many as are kept");
    (0..=KEPT).for_each(|number| events.publish("key", "keys", &number.to_string(), &number));
    assert!(matches!(slow.next().await, Next::Resync(_)));
    events.publish("key", "keys", "next", &1);
    assert_eq!(subjects(&mut slow).await, ["next"]);
    assert_eq!(events.state().ring.len(), KEPT);
}

#[tokio::test(start_paused = true)]
async fn streams_are_few_and_end_together() {
    let events = events();
    let open = |reader: Reader| events.subscribe(reader, None, None);
    let session = |number: usize| Reader::Session(format!("ses_{number}"));
    let token = |number: usize| Reader::Token(format!("tok_{number}"));
    let mut one: Vec<_> = (0..MOST_OF_ONE).map(|_| open(token(0)).unwrap()).collect();
    assert_eq!(open(token(0)).err(), Some(TooManyStreams::OfReader));
    one.pop();
    one.push(open(token(0)).unwrap());
    // However many tokens there are, people have a place.
    let mut streams = Vec::new();
    for number in 1.. {
        match open(token(number)) {
            Ok(stream) => streams.push(stream),
            Err(refused) => {
                assert_eq!(refused, TooManyStreams::OfAll);
                break;
            }
        }
    }
    assert_eq!(one.len() + streams.len(), MOST_STREAMS - KEPT_FOR_PEOPLE);
    for number in 0..KEPT_FOR_PEOPLE {
        streams.push(open(session(number / MOST_OF_ONE)).unwrap());
    }
    assert_eq!(open(session(99)).err(), Some(TooManyStreams::OfAll));
    assert_eq!(open(session(0)).err(), Some(TooManyStreams::OfReader));
    streams.pop();
    let mut last = open(session(99)).unwrap();
    events.close();
    assert!(matches!(last.next().await, Next::Closed));
}
