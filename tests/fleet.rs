//! One run on many machines, over a real NATS server: the board that workers and coordinator leave
//! notes on.

mod support;

use regstorm::convoy::{Board, NatsAccess, NatsBoard};
use regstorm::vocab::Secret;
use std::time::Duration;
use support::clock;
use support::nats::NatsServer;

/// Within this a server that is back is found again on a busy machine.
const BACK: Duration = Duration::from_secs(30);

fn board(server: &NatsServer) -> NatsBoard {
    let access = NatsAccess {
        url: Secret::new(server.url()),
        credentials: None,
        nkey: None,
        ca: None,
        certificate: None,
        name: "test".to_owned(),
    };
    NatsBoard::open(&access).unwrap_or_else(|error| panic!("{error}\n{}", server.log()))
}

#[test]
fn a_board_keeps_the_last_note_of_a_key_and_every_piece_once() {
    let server = NatsServer::start();
    let (mut ours, mut theirs) = (board(&server), board(&server));
    assert_eq!(theirs.read("0f.orders").expect("reached"), None);
    let first = ours.pin("0f.orders", b"one".to_vec()).expect("reached");
    let second = ours.pin("0f.orders", b"two".to_vec()).expect("reached");
    assert!(second > first);
    let note = theirs.read("0f.orders").expect("reached").expect("it hangs there");
    assert_eq!((note.number, note.key.as_str(), note.bytes.as_slice()), (second, "0f.orders", &b"two"[..]));
    assert!(note.left_unix_ns > 1_700_000_000_000_000_000);
    // Notes of several keys in the order in which they were left.
    ours.pin("0f.beat.a", b"a".to_vec()).expect("reached");
    ours.pin("0f.beat.b", b"b".to_vec()).expect("reached");
    let mut from = 0;
    let mut seen = Vec::new();
    while let Some(note) = theirs.next("0f.beat.*", from).expect("reached") {
        from = note.number + 1;
        seen.push(note.key);
    }
    assert_eq!(seen, ["0f.beat.a", "0f.beat.b"]);
    // What is sent again is there once.
    for id in ["a:0:0", "a:0:1", "a:0:0"] {
        ours.append("0f.record.a", id, vec![7; 512 << 10]).expect("reached");
    }
    let mut from = 0;
    let mut pieces = 0;
    while let Some(piece) = theirs.next_piece("0f.record.*", from).expect("reached") {
        from = piece.number + 1;
        pieces += 1;
        assert_eq!((piece.key.as_str(), piece.bytes.len()), ("0f.record.a", 512 << 10));
    }
    assert_eq!(pieces, 2);
    ours.take_down("0f.>").expect("reached");
    assert_eq!(theirs.read("0f.orders").expect("reached"), None);
    assert_eq!(theirs.next_piece("0f.record.*", 0).expect("reached"), None);
}

#[test]
fn a_board_is_found_again_with_everything_on_it_when_its_server_was_killed() {
    let mut server = NatsServer::start();
    let mut board = board(&server);
    board.pin("0f.orders", b"one".to_vec()).expect("reached");
    board.append("0f.record.a", "a:0:0", b"frame".to_vec()).expect("reached");
    server.kill();
    assert!(board.read("0f.orders").is_err(), "nobody is there");
    server.restart();
    let note = clock::until("the server to be found again", BACK, || board.read("0f.orders").ok().flatten());
    assert_eq!(note.bytes, b"one");
    let piece = board.next_piece("0f.record.*", 0).expect("reached").expect("it is there");
    assert_eq!(piece.bytes, b"frame");
    // The id is remembered over the restart, so what was sent again meanwhile is there once.
    board.append("0f.record.a", "a:0:0", b"frame".to_vec()).expect("reached");
    assert_eq!(board.next_piece("0f.record.*", piece.number + 1).expect("reached"), None);
}
