import os

from sacristy.targets import naming


def test_a_name_tells_model_purpose_and_who_started_it():
    name = naming.instance_name("news-2", "trial")
    assert naming.is_instance(name)
    assert naming.belongs(name) == ("news-2", "trial")
    assert naming.starter_lives(name)
    assert f"{os.getpid():x}." in name


def test_the_stacks_own_services_are_no_instances():
    assert not any(map(naming.is_instance, ["mongodb", "gateway", "ceph-mon", "ceph-rgw-a", "omniboard"]))


def test_an_instance_of_a_process_that_is_gone_has_nobody_asking_it():
    assert not naming.starter_lives("news-trial-7fffffff.0123abcd")
    assert not naming.starter_lives("news-trial")
