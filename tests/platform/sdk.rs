//! The mock judged by the vendor's own SDK (PureCloudPlatformClientV2 of PyPI, 200 MB), which reads
//! its answers into types of its own: what it cannot read, the mock has wrong.
//!
//! `PLATFORM_SDK=/path/to/python cargo test --test platform -- --ignored`, with a Python that has it
//! (`python3 -m venv v && v/bin/pip install PureCloudPlatformClientV2`).

use super::support::platform::{CLIENT, MockData, MockFault, MockPlatform, SECRET, TRUNK};
use super::{FROM, MINUTES, data};
use serde_json::{Value, json};
use std::process::Command;

/// What the SDK understood.
fn understood(mock: &MockPlatform) -> Value {
    let python = std::env::var("PLATFORM_SDK").expect("PLATFORM_SDK names a Python with the vendor's SDK");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/platform/sdk.py");
    let (host, until) = (format!("http://{}", mock.address), FROM + 60 * MINUTES);
    let asked = Command::new(python)
        .args([script, &host, CLIENT, SECRET, &FROM.to_string(), &until.to_string()])
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{said}");
    serde_json::from_slice(&asked.stdout).unwrap_or_else(|_| panic!("{said}"))
}

#[test]
#[ignore = "needs the vendor's SDK, see the top of the file"]
fn the_vendors_sdk_takes_the_mock_for_the_platform() {
    for (registered, fault) in [(true, MockFault::None), (false, MockFault::Busy(2, Some(1)))] {
        let mock =
            MockPlatform::start(MockData { registered, others: 4, page: 2, state: "active".to_owned(), ..data(fault) });
        let told = understood(&mock);
        assert_eq!((&told["pages"], &told["page_count"], &told["total"]), (&json!(3), &json!(3), &json!(5)));
        let own = told["trunks"].as_array().and_then(|trunks| trunks.last()).expect("the trunk is the last one");
        assert_eq!((&own["id"], &own["state"], &own["in_service"]), (&json!(TRUNK), &json!("active"), &json!(true)));
        assert_eq!((&own["connected"], &own["since_is_a_time"]), (&json!(true), &json!(true)), "{own}");
        let error = if registered { Value::Null } else { json!("Forbidden") };
        assert_eq!((&own["register"], &own["error"]), (&json!(registered), &error), "{own}");
        assert_eq!(own["register_is_a_time"], true);
        assert_eq!(told["traces"], 2 * 60 * MINUTES);
        assert_eq!((&told["trace_ids"], &told["methods"]), (&told["traces"], &json!(["403", "REGISTER"])));
        let refused = &told["refused"];
        assert_eq!((&refused["status"], refused["code"].is_string()), (&json!(404), true), "{refused}");
        let busy = if fault == MockFault::None { 0 } else { 2 };
        // A token, three pages, the traces, one trunk; and those that came too soon.
        assert_eq!(mock.asked().len(), 6 + busy, "{:?}", mock.asked());
    }
}
