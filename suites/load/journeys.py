"""A locustfile as one has it: users who look at the front page, and sometimes at something else."""

from locust import FastHttpUser, constant, task


class Visitor(FastHttpUser):
    host = "http://web"
    wait_time = constant(0.05)

    @task(3)
    def front_page(self):
        self.client.get("/")

    @task
    def search(self):
        self.client.get("/search?q=shoes")
