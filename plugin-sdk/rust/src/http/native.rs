//! Outside of Wasm there is no host to send requests: a function of the test answers them, at once.

use std::cell::RefCell;
use std::time::Duration;

use super::{HttpError, Request, Response};

type Answer = Result<Response, HttpError>;
type Server = Box<dyn FnMut(&Request) -> Answer>;

thread_local! {
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

/// Lets a function answer the requests of this thread.
pub(crate) fn serve(server: impl FnMut(&Request) -> Answer + 'static) {
    SERVER.set(Some(Box::new(server)));
}

pub(super) struct Sent {
    answer: Option<Answer>,
}

pub(super) fn send(request: Request) -> Sent {
    let answer = SERVER.with_borrow_mut(|server| match server {
        Some(server) => server(&request),
        None => Err(HttpError::Unavailable("there is no server: call testing::serve_http first".to_owned())),
    });
    Sent { answer: Some(answer) }
}

impl Sent {
    pub(super) fn at_once(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    /// Nothing is under way.
    pub(super) fn advance(&mut self) -> Option<Answer> {
        None
    }
}

/// Nothing is ever waited for.
pub(super) fn wait_for<T>(_: &[(T, Sent)], _: Option<Duration>) -> Vec<usize> {
    Vec::new()
}
