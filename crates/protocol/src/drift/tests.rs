use std::borrow::Cow;

use super::{SAMPLE_LIMIT_BYTES, drift_sample, unknown};
use crate::event::GrokEvent;

#[test]
fn a_sample_is_names_types_and_enumerations() {
    let event = r#"{"event":{"type":"response.new_thing","event_id":"evt_0011_7","new":{"kind":"KIND_A","n":7,"ok":true,
        "list":[{"url":"https://secret.example/x","title":"Secret words"},{}],"none":null,"empty":""}}}"#;
    assert_eq!(
        drift_sample(event),
        "{event:{type:\"response.new_thing\",event_id:string,new:{kind:\"KIND_A\",n:number,ok:bool,\
         list:[{url:string,title:string},…],none:null,empty:\"\"}}}"
    );
}

#[test]
fn nothing_that_may_be_somebodys_is_kept() {
    for (json, shape) in [
        // Words and ids where a name belongs.
        (r#"{"type":"two words","kind":"b2d9f8e3-1a46-4c9f-8d2e-3f4a5b6c7d8e"}"#, "{type:string,kind:string}"),
        (r#"{"status":"deadbeef1","state":"https://a.example/b"}"#, "{status:string,state:string}"),
        // A map whose names are data.
        (r#"{"b2d9f8e3-1a46-4c9f-8d2e-3f4a5b6c7d8e":1,"Anna Example":2}"#, "{?:number,?:number}"),
        // Program text is no error code, and a tool's arguments are the model's words.
        (r#"{"tool":{"code":"secret"}}"#, "{tool:{code:string}}"),
        (r#"{"bash":{"args":{"mode":"secret","type":"x"}}}"#, "{bash:{args:{mode:string,type:string}}}"),
        (r#"{"error":{"code":"new_code","message":"secret"}}"#, "{error:{code:\"new_code\",message:string}}"),
        (r#""secret""#, "string"),
        ("12", "number"),
        ("[1,2]", "[number,…]"),
        ("secret {", " not JSON"),
        (r#"{"a":1} secret"#, "{a:number} not JSON"),
    ] {
        assert_eq!(drift_sample(json), shape, "{json}");
    }
}

#[test]
fn a_sample_is_bounded_in_length_and_depth() {
    let wide = format!("{{{}\"z\":1}}", (0..2000).map(|index| format!("\"m{}\":1,", index % 100)).collect::<String>());
    let sample = drift_sample(&wide);
    assert!(sample.len() <= SAMPLE_LIMIT_BYTES && sample.ends_with('…'), "{sample}");
    let deep = "{\"a\":".repeat(100) + "1" + &"}".repeat(100);
    assert!(drift_sample(&deep).contains("…"));
    let too_deep = "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000);
    assert!(drift_sample(&too_deep).len() <= SAMPLE_LIMIT_BYTES);
}

#[test]
fn a_kind_is_a_name_or_nothing() {
    let kind = |name: &'static str| match unknown("event:", Cow::Borrowed(name), "{}") {
        GrokEvent::Unknown { kind, .. } => kind.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(kind("response.new"), "event:response.new");
    for odd in ["", "two words", "b2d9f8e3-1a46-4c9f-8d2e-3f4a5b6c7d8e", "https://a.example", "ü"] {
        assert_eq!(kind(odd), "event:?");
    }
}
