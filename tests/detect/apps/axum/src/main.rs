use axum::{Router, routing::get};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let app = Router::new().route("/", get(|| async { "hello" }));
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:0").await?, app).await
}
