require("http").createServer((request, response) => response.end("hello")).listen(0, "127.0.0.1");
