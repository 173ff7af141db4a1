from __future__ import annotations

from typing import NoReturn

import pytest
from torch.utils.data import DataLoader, Dataset

from interlace.data.video import VideoError
from interlace.data.worker_errors import WorkerError, one_line_errors


class Broken(Dataset[int]):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> NoReturn:
        raise self.error


def batches(error: Exception, num_workers: int) -> DataLoader[int]:
    context = "fork" if num_workers else None
    return DataLoader(Broken(error), num_workers=num_workers, multiprocessing_context=context)


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("kind", [VideoError, ValueError])
def test_the_message_alone(kind: type[ValueError], num_workers: int) -> None:
    with pytest.raises(kind) as caught, one_line_errors():
        list(batches(kind("a: b.mp4: no video; replace it"), num_workers))
    assert type(caught.value) is kind
    assert str(caught.value) == "a: b.mp4: no video; replace it"


def test_a_mistake_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*RuntimeError: wrong"), one_line_errors():
        list(batches(RuntimeError("wrong"), 1))


def test_a_text_of_several_lines_that_is_of_no_worker_stays() -> None:
    with pytest.raises(ValueError, match=r"^one\ntwo$"), one_line_errors():
        raise ValueError("one\ntwo")


def checked() -> None:
    """A check that takes what PyTorch raises, wherever the program is then, for its own."""
    try:
        try:
            raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
        except RuntimeError:
            raise TypeError("no parameter was wrong")  # noqa: B904, as those who do not say `from`
    except TypeError as error:
        raise AttributeError("the check failed") from error


def test_a_worker_is_gone_whoever_makes_another_error_of_it() -> None:
    told = r"was killed by a signal \(Killed\); the system does so"
    with pytest.raises(WorkerError, match=told), one_line_errors():
        checked()


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(AttributeError, match=r"^DataLoader worker \(pid 7\)"), one_line_errors():
        raise AttributeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    told = WorkerError("a process that decodes is gone")
    with pytest.raises(WorkerError) as caught, one_line_errors():
        raise told from RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    assert caught.value is told
