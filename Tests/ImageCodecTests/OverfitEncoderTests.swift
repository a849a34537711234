import Foundation
import MediaIO
import Metrics
import NeuralCodecs
import Synchronization
import Testing

@testable import ImageCodec
