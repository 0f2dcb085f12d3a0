//! A request's body, on its way: while the rest of it is waited for, the connection stands in the line of those that may
//! have to go.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};

use super::places::Place;

/// A body that tells its connection's place whether it is waited for.
pub struct Arriving {
    body: Incoming,
    place: Arc<Place>,
}

impl Arriving {
    /// The body, as the router takes it.
    pub fn body(body: Incoming, place: &Arc<Place>) -> Body {
        match body.is_end_stream() {
            true => Body::empty(),
            false => Body::new(Self { body, place: place.clone() }),
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let next = Pin::new(&mut self.body).poll_frame(cx);
        match &next {
            Poll::Pending => self.place.waits(),
            // More is to come.
            Poll::Ready(Some(Ok(_))) if !self.body.is_end_stream() => {}
            Poll::Ready(_) => self.place.works(),
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
