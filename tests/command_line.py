"""What the tests of the command line expect of every failure."""


def one_line_error(result, code):
    assert result[0] == code
    assert result[1] == ""
    assert result[2].startswith("spconvify: error: ")
    assert result[2].count("\n") == 1
    return result[2]
