const express = require("express");

express().get("/", (request, response) => response.send("hello")).listen(0, "127.0.0.1");
