import a_module_that_is_not_installed


class Lacking:
    def execute(self, config, task_data):
        return a_module_that_is_not_installed.work()
