//! The command line: its help, and what it says to wrong input.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use assert_cmd::Command;
use insta::assert_snapshot;

fn bookinfo(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("bookinfo").unwrap();
    command.args(arguments).env_clear();
    command
}

fn stdout(arguments: &[&str]) -> String {
    String::from_utf8(bookinfo(arguments).assert().success().get_output().stdout.clone()).unwrap()
}

fn stderr(command: &mut Command, code: i32) -> String {
    String::from_utf8(command.assert().code(code).stdout("").get_output().stderr.clone()).unwrap()
}

#[test]
fn help_names_the_four_services() {
    assert_snapshot!(stdout(&["--help"]));
}

#[test]
fn every_command_explains_itself() {
    for command in ["productpage", "details", "reviews", "ratings", "get"] {
        assert_snapshot!(format!("help_{command}"), stdout(&[command, "--help"]));
    }
}

#[test]
fn a_version_that_was_never_published_is_refused() {
    assert_snapshot!(stderr(&mut bookinfo(&["reviews", "--version", "v4"]), 2));
}

#[test]
fn a_port_variable_that_is_no_port_is_named_before_anything_listens() {
    let mut command = bookinfo(&["reviews", "--version", "v2"]);
    assert_snapshot!(stderr(command.env("RATINGS_SERVICE_PORT", "tcp://10.1.0.7:9080"), 1));
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = stderr(&mut bookinfo(&["details", "--listen", &address]), 1);
    assert_snapshot!(error.replace(&address, "127.0.0.1:PORT"));
}
