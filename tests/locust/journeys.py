"""Two kinds of shoppers, as a locustfile anybody could have: nothing in it knows of meshtest."""

from __future__ import annotations

from locust import FastHttpUser, HttpUser, between, task


class Visitor(FastHttpUser):
    """Looks at one page after the other."""

    host = "http://web"
    wait_time = between(0.005, 0.02)
    weight = 3

    @task
    def look(self) -> None:
        self.client.get("/")


class Buyer(HttpUser):
    """Fills a basket and pays: a journey, with a session."""

    host = "http://web"
    wait_time = between(0.005, 0.02)

    def on_start(self) -> None:
        self.client.get("/login", headers={"x-user": "7"})

    @task
    def buy(self) -> None:
        self.client.get("/basket")
        with self.client.post("/pay", json={"card": "4242"}, catch_response=True) as paid:
            if paid.status_code >= 500:
                paid.failure("not paid")
