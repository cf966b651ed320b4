"""Every error that the project raises on purpose: its message alone tells a person what to do next."""


class EntailmentError(Exception):
    """Base of all errors of this project; `exit_code` is what the command line ends with."""

    exit_code = 1


def reason(error: Exception) -> str:
    """Why something failed, in one text: the message alone of an error of ours, else behind its kind."""
    return str(error) if isinstance(error, EntailmentError) else f"{type(error).__name__}: {error}"


class ConfigurationError(EntailmentError):
    """A configuration key or value, or a command-line option, is wrong."""

    exit_code = 2


class DataError(EntailmentError):
    """The table of pairs, a record or another input file is not as it must be."""


class ImageError(EntailmentError):
    """The images do not allow the run to go on."""


class DownloadError(EntailmentError):
    """Something could not be downloaded, or what came is not what was expected."""


class EncoderError(EntailmentError):
    """An encoder could not be found, built or loaded."""


class StoreError(EntailmentError):
    """The shared store cannot be reached, read or written."""


class RegistryError(EntailmentError):
    """A model version or alias is not there, or cannot be moved as asked."""


class ServerError(EntailmentError):
    """A server of ours cannot be started."""


class NothingNewError(EntailmentError):
    """There is nothing to retrain on; a scheduler reads the exit code as: leave out what follows."""

    exit_code = 3


class ScheduleError(EntailmentError):
    """A schedule is not there, or the scheduler does not do what was asked."""
