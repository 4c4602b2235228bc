from console.celery import app


def test_the_broker_notes_who_has_a_message_of_a_job_and_not_of_an_answer():
    assert {name: queue.no_ack for name, queue in app.amqp.queues.items()} == {"jobs": False, "chat": True}
