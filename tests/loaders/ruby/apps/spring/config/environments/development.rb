# frozen_string_literal: true

# Rails wants a file of this name.
